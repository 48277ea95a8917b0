/* SPDX-License-Identifier: MIT */
/*
 * The three queues of a lane, and who may use it: the same for its client and for the device. What
 * goes through the queues is in lane_layout.h.
 */
#include "config.h"

#include "device/device_layout.h"
#include "device/lane_layout.h"

#include <sys/stat.h>

static const struct {
	size_t capacity;
	unsigned bells;
} queues[DUOSHM__LANE_QUEUES] = {
	[DUOSHM__COMMANDS] = {8192, DUOSHM_NO_BELLS},
	[DUOSHM__REPLIES] = {8192, 0},
	[DUOSHM__CAPTURE] = {262144, 2},
};

/* A word before each, rounded up, and one that does not fit before the end of the ring. */
_Static_assert((DUOSHM__UNANSWERED_MAX + 1) * (sizeof(struct duoshm__command) + 16) <= 8192,
	"there is room for all commands, and for the replies, which are shorter");

/* Where a queue begins; DUOSHM__LANE_QUEUES: where the last one ends. */
static size_t place(int which)
{
	size_t at = sizeof(struct duoshm__lane_header);

	for (int i = 0; i < which; i++)
		at = duoshm__line_up(at) + duoshm_queue_bytes(queues[i].capacity);
	return which < DUOSHM__LANE_QUEUES ? duoshm__line_up(at) : at;
}

size_t duoshm__lane_bytes(void)
{
	return place(DUOSHM__LANE_QUEUES);
}

int duoshm__lane_format(struct duoshm_segment *lane)
{
	int err = 0;

	for (int i = 0; !err && i < DUOSHM__LANE_QUEUES; i++)
		err = duoshm_queue_format(lane, place(i), duoshm_queue_bytes(queues[i].capacity));
	return err;
}

int duoshm__lane_attach(struct duoshm_segment *lane, enum duoshm_role role,
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES])
{
	enum duoshm_role other = role == DUOSHM_PRODUCER ? DUOSHM_CONSUMER : DUOSHM_PRODUCER;
	int err = 0;

	for (int i = 0; !err && i < DUOSHM__LANE_QUEUES; i++)
		err = duoshm_queue_attach(lane, place(i), duoshm_queue_bytes(queues[i].capacity),
			queues[i].bells, i == DUOSHM__COMMANDS ? role : other, &queue[i]);
	return err;
}

void duoshm__lane_detach(struct duoshm_queue *queue[DUOSHM__LANE_QUEUES])
{
	for (int i = 0; i < DUOSHM__LANE_QUEUES; i++) {
		if (queue[i])
			duoshm_queue_close(queue[i]);
		queue[i] = NULL;
	}
}

int duoshm__may_write(
	const struct duoshm *ctx, const struct duoshm_stat *object, const struct duoshm_stat *by)
{
	struct stat directory;

	if (by->uid == 0 || by->uid == object->uid || (object->mode & S_IWOTH))
		return 1;
	if (!(object->mode & S_IWGRP) || by->gid != object->gid)
		return 0;
	/*
	 * BSD's directories, and Linux's with the set-group-ID bit, give their own group to
	 * whatever is made in them, by whomever: where everybody may do so, that group proves
	 * nothing.
	 */
	return stat(duoshm_directory(ctx), &directory) == 0 &&
	       !(directory.st_gid == (gid_t)by->gid && (directory.st_mode & S_IWOTH));
}
