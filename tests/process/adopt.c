/* SPDX-License-Identifier: MIT */
/*
 * Objects of other programs: segments made by bare calls of each family, adopted, read, written,
 * and shown as foreign. Here alone a test knows the families' own names.
 */
#include "config.h"

#include "harness/fixture.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum { SIZE = 8192, TAIL = SIZE - 16 };

struct found {
	const char *native;
	int64_t id;
	int state, times;
};

static int look_for(const struct duoshm_stat *object, void *argument)
{
	struct found *found = argument;

	if (strcmp(object->native, found->native) != 0 && object->id != found->id)
		return 0;
	found->state = object->state;
	found->times++;
	return 0;
}

/* `memory` is its maker's; id -2: it has none. */
static void is_adopted(const char *name, int64_t id, const char *memory)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment = NULL, *reader = NULL;
	struct found found = {.native = strchr(name, ':') + 1, .id = id};

	OK(duoshm_segment_adopt(ctx, name, 0, &segment));
	CHECK(duoshm_segment_size(segment) >= SIZE);
	strcpy((char *)duoshm_segment_data(segment) + TAIL, "written by us");
	EXPECT_TEXT(memory + TAIL, "written by us");
	OK(duoshm_segment_adopt(ctx, name, DUOSHM_READ_ONLY, &reader));
	EXPECT_TEXT((char *)duoshm_segment_data(reader) + TAIL, "written by us");
	end_segment(segment);
	end_segment(reader);
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, look_for, &found), 0);
	CHECK(found.times == 1 && found.state == DUOSHM_FOREIGN);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	EXPECT(duoshm_list(ctx, 0, look_for, &found), 0);
	EXPECT(found.times, 1); /* not again: it is no part of the registry */
	end_context(ctx);
}

static void is_gone(const char *name)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment = NULL;

	EXPECT(duoshm_segment_adopt(ctx, name, 0, &segment), DUOSHM_ERR_NOT_FOUND);
	end_context(ctx);
}

static void made_by_shmget(void)
{
	char name[64];

	if (strcmp(harness_backend(), "sysv") != 0)
		HARNESS_SKIP("System V");
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	CHECK_FATAL(id >= 0);
	void *memory = shmat(id, NULL, 0);
	snprintf(name, sizeof(name), "sysv:id:%d", id);
	is_adopted(name, id, memory);
	EXPECT(shmctl(id, IPC_RMID, NULL), 0);
	EXPECT(shmdt(memory), 0);
	is_gone(name);
}

static void made_by_shm_open(void)
{
	char name[100];

	if (strcmp(harness_backend(), "posix") != 0)
		HARNESS_SKIP("POSIX");
	snprintf(name, sizeof(name), "posix:/%s", harness_name("bare"));
	const char *native = strchr(name, '/');
	int fd = shm_open(native, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK_FATAL(fd >= 0 && ftruncate(fd, SIZE) == 0);
	void *memory = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK_FATAL(memory != MAP_FAILED);
	is_adopted(name, -2, memory);
	EXPECT(shm_unlink(native), 0);
	munmap(memory, SIZE);
	close(fd);
	is_gone(name);
}

static const struct harness_case cases[] = {
	{"a segment made with shmget is adopted", made_by_shmget},
	{"a segment made with shm_open is adopted", made_by_shm_open},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "adopt", cases);
}
