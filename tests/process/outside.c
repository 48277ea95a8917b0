/* SPDX-License-Identifier: MIT */
/*
 * Somebody removes the kernel's objects behind the library's back, as ipcrm and rm do: the segment,
 * the bells, or both, under programs that sleep on an object of each kind. Trap: on POSIX a bell
 * that has lost its name still serves those who have it open, and they need not be told; who opens
 * the object then is.
 */
#include "config.h"

#include "device/server.h"
#include "duoshm/device.h"
#include "harness/fixture.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define WATCHDOG (10 * SECOND)
#define NAME     "outside"

enum { MEMORY = 1, BELLS = 2, BOTH = 3 };

static struct duoshm *ctx;
static struct duoshm_segment *segment;
static struct duoshm_semaphore *semaphore;
static struct duoshm_lock *locks;
static struct duoshm_queue *queue;
static struct duoshm_broadcast *broadcast;
static struct duoshm__server *server;
static char text[64];
static struct harness_gate *ready; /* in a child: it is about to sleep */

static const char *name(void)
{
	return harness_name(NAME);
}

/* ---- the kinds: made, waited for by a child, and what would wake it -------------------------- */

static int make_bells(void)
{
	struct duoshm_create options = create_with(0, 2);

	return duoshm_segment_create(ctx, name(), 64, &options, &segment);
}

static int sleep_on_segment(struct duoshm *own)
{
	OK(duoshm_segment_open(own, name(), 0, 0, &segment));
	harness_gate_open(ready);
	return duoshm_segment_sleep(segment, 1, WATCHDOG);
}

static int ring_segment(void)
{
	return duoshm_segment_ring(segment, 1);
}

static int make_semaphore(void)
{
	return duoshm_semaphore_create(ctx, name(), 0, NULL, &semaphore);
}

static int sleep_on_semaphore(struct duoshm *own)
{
	OK(duoshm_semaphore_open(own, name(), 0, 0, &semaphore));
	harness_gate_open(ready);
	return duoshm_semaphore_wait(semaphore, WATCHDOG, 0);
}

static int post_semaphore(void)
{
	return duoshm_semaphore_post(semaphore, 1);
}

static int make_lock(void)
{
	int result = duoshm_lock_create(ctx, name(), NULL, &locks);

	OK(duoshm_lock_acquire(locks, 0));
	return result;
}

static int sleep_on_lock(struct duoshm *own)
{
	OK(duoshm_lock_open(own, name(), 0, 0, &locks));
	harness_gate_open(ready);
	return duoshm_lock_acquire(locks, WATCHDOG);
}

static int release_lock(void)
{
	return duoshm_lock_release(locks);
}

static int make_queue(void)
{
	return duoshm_queue_create(ctx, name(), 256, DUOSHM_PRODUCER, NULL, &queue);
}

static int sleep_for_message(struct duoshm *own)
{
	OK(duoshm_queue_open(own, name(), DUOSHM_CONSUMER, 0, &queue));
	harness_gate_open(ready);
	ssize_t length = duoshm_queue_receive(queue, text, sizeof text, WATCHDOG);

	return length < 0 ? (int)length : 0;
}

static int send_message(void)
{
	return duoshm_queue_send(queue, "", 1, 0);
}

static int make_full_queue(void)
{
	return duoshm_queue_create(ctx, name(), 256, DUOSHM_CONSUMER, NULL, &queue);
}

static int sleep_for_room(struct duoshm *own)
{
	int result;

	OK(duoshm_queue_open(own, name(), DUOSHM_PRODUCER, 0, &queue));
	while ((result = duoshm_queue_send(queue, text, sizeof text, 0)) == 0)
		;
	EXPECT(result, DUOSHM_ERR_TIMEOUT);
	harness_gate_open(ready);
	return duoshm_queue_send(queue, text, sizeof text, WATCHDOG);
}

/* All of them: what does not fit in one piece needs more room than it has. */
static int take_messages(void)
{
	ssize_t length = 0;

	while (length >= 0)
		length = duoshm_queue_receive(queue, text, sizeof text, 0);
	/* Who got the room may have sent, and ended, meanwhile. */
	return length == DUOSHM_ERR_TIMEOUT || length == DUOSHM_ERR_PEER_DEAD ? 0 : (int)length;
}

static int make_broadcast(void)
{
	return duoshm_broadcast_create(ctx, name(), 256, NULL, &broadcast);
}

static int sleep_for_news(struct duoshm *own)
{
	OK(duoshm_broadcast_open(own, name(), DUOSHM_READER, 0, 0, &broadcast));
	harness_gate_open(ready);
	ssize_t length = duoshm_broadcast_next(broadcast, text, sizeof text, NULL, WATCHDOG);

	return length < 0 ? (int)length : 0;
}

static int publish_news(void)
{
	return duoshm_broadcast_publish(broadcast, "", 1);
}

static int make_device(void)
{
	struct duoshm__setup setup;

	duoshm__setup_init(&setup);
	OK(duoshm__setup_set(&setup, "name", name()));
	OK(duoshm__setup_set(&setup, "wave", "sine"));
	OK(duoshm__setup_set(&setup, "rate", "10Hz"));
	int result = duoshm__server_new(ctx, &setup, 0, &server);
	duoshm__server_step(server, 0);
	return result;
}

static int sleep_for_samples(struct duoshm *own)
{
	struct duoshm_device *device;
	struct duoshm_block block;

	OK(duoshm_device_connect(own, name(), 0, &device));
	OK(duoshm_device_follow(device));
	harness_gate_open(ready);
	return duoshm_device_next(device, WATCHDOG, &block);
}

static int step_device(void)
{
	duoshm__server_step(server, 10 * SECOND);
	return duoshm__server_over(server);
}

/* Whatever of them is open. */
static void close_it(void)
{
	OK(duoshm_segment_close(segment));
	OK(duoshm_semaphore_close(semaphore));
	OK(duoshm_lock_close(locks));
	OK(duoshm_queue_close(queue));
	OK(duoshm_broadcast_close(broadcast));
	OK(duoshm__server_free(server));
	segment = NULL;
	semaphore = NULL;
	locks = NULL;
	queue = NULL;
	broadcast = NULL;
	server = NULL;
}

static const struct kind {
	int (*make)(void);
	int (*sleep)(struct duoshm *own); /* in the child */
	int (*wake)(void);
	bool is_device; /* its clients sleep on no bell, and closing it removes it */
} kinds[] = {
	{make_bells, sleep_on_segment, ring_segment, false},
	{make_semaphore, sleep_on_semaphore, post_semaphore, false},
	{make_lock, sleep_on_lock, release_lock, false},
	{make_queue, sleep_for_message, send_message, false},
	{make_full_queue, sleep_for_room, take_messages, false},
	{make_broadcast, sleep_for_news, publish_news, false},
	{make_device, sleep_for_samples, step_device, true},
};

/* ---- removal --------------------------------------------------------------------------------- */

static void remove_natively(const struct duoshm_stat *stat, int what)
{
	bool sysv = strcmp(stat->backend, "sysv") == 0;
	char bell[120];

	if ((what & MEMORY) != 0)
		OK(sysv ? shmctl((int)stat->id, IPC_RMID, NULL) : shm_unlink(stat->native));
	if ((what & BELLS) != 0 && sysv)
		OK(semctl((int)stat->bells_id, 0, IPC_RMID));
	for (unsigned i = 0; (what & BELLS) != 0 && !sysv && i < stat->bells; i++) {
		snprintf(bell, sizeof bell, "%s.%u", stat->native, i);
		OK(sem_unlink(bell));
	}
}

static int sleep_until_removed(void *arg)
{
	struct helper *helper = arg;
	const struct kind *kind = helper->more;

	ready = &helper->ready;
	return -kind->sleep(new_context());
}

/* By the kernel's ids, too: a key that is free again may be another test's by now. */
static int count_native(const struct duoshm_stat *object, void *was)
{
	const struct duoshm_stat *gone = was;

	return strncmp(object->native, gone->native, strlen(gone->native)) == 0 &&
	       (object->id == gone->id ||
		       (object->bells_id >= 0 && object->bells_id == gone->bells_id));
}

/* True: what remains still serves who has it open. */
static bool still_serves(const struct kind *kind, int what)
{
	return what == BELLS && (kind->is_device || strcmp(harness_backend(), "sysv") != 0);
}

/* False: it was not noticed, and who waits for more of that waits long. */
static bool remove_under(const struct kind *kind, int what)
{
	struct helper helper = {.more = (void *)(uintptr_t)kind};
	struct duoshm_segment *late;
	bool serves = still_serves(kind, what);

	EXPECT_FATAL(kind->make(), DUOSHM_CREATED);
	struct duoshm_stat stat = stat_of(ctx, NAME), gone = DUOSHM_STAT_INIT;
	start_helper(&helper, sleep_until_removed, NAME, 0);
	harness_until_asleep(helper.pid);
	remove_natively(&stat, what);
	int woken = serves ? kind->wake() : DUOSHM_ERR_REMOVED;
	int told = -harness_wait(helper.pid);
	/* Whom a busy machine wakes late has seen by himself that the bells have no name any more. */
	bool noticed = told == DUOSHM_ERR_REMOVED || (told == 0 && woken == 0);
	CHECK(noticed);
	harness_gate_close(&helper.ready);
	harness_gate_close(&helper.go);
	/* Who comes now is told. */
	EXPECT(duoshm_segment_open(ctx, name(), DUOSHM_ANY_KIND, 0, &late), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_stat(ctx, name(), &gone), (what & MEMORY) ? DUOSHM_ERR_NOT_FOUND : 0);
	close_it();
	/* It can be made anew; what is only damaged must be removed first. */
	if (kind->is_device)
		EXPECT(harness_entries(duoshm_directory(ctx)), 0);
	else if ((what & MEMORY) == 0)
		OK(duoshm_remove(ctx, name()));
	CHECK(kind->make() >= 0);
	close_it();
	if (!kind->is_device)
		OK(duoshm_remove(ctx, name()));
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, count_native, &stat), 0);
	return noticed;
}

static void each_kind_learns_it(void)
{
	long times = harness_scale(1, 1, 5), done = 0;
	bool noticed = true;

	if (access("/dev/shm", F_OK) != 0)
		HARNESS_SKIP("native names are known on Linux alone");
	ctx = new_context();
	for (long i = 0; i < times && noticed; i++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds && noticed; k++)
			for (int what = MEMORY; what <= BOTH && noticed; what++, done++)
				noticed = remove_under(&kinds[k], what);
	end_context(ctx);
	harness_proves(21, done, "removals");
}

/* ---- the rest of what the dead had ----------------------------------------------------------- */

static int make_and_exit(void *arg)
{
	const struct kind *kind = arg;

	ctx = new_context();
	EXPECT(kind->make(), DUOSHM_CREATED);
	return 0;
}

static void the_cleaner_takes_the_rest(void)
{
	long done = 0;

	if (access("/dev/shm", F_OK) != 0)
		HARNESS_SKIP("native names are known on Linux alone");
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (int what = MEMORY; what <= BOTH; what++, done++) {
			struct duoshm_stat stat = DUOSHM_STAT_INIT;

			EXPECT(harness_wait(
				       harness_fork(make_and_exit, (void *)(uintptr_t)&kinds[k])),
				0);
			ctx = new_context();
			OK(duoshm_stat(ctx, name(), &stat));
			remove_natively(&stat, what);
			EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
			EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, count_native, &stat), 0);
			EXPECT(harness_entries(duoshm_directory(ctx)), 0);
			end_context(ctx);
		}
	harness_proves(21, done, "remains");
}

static const struct harness_case cases[] = {
	{"who sleeps on what is removed learns it, and it can be made anew", each_kind_learns_it},
	{"the cleaner takes the rest of what the dead had", the_cleaner_takes_the_rest},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "outside", cases);
}
