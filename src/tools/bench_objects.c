/* SPDX-License-Identifier: MIT */
/*
 * What `compare bench` measures of objects: what it costs to open one, touch its memory and close
 * it, by its size and by its bells, beside the bare calls of its family; and whether that, and the
 * list, costs the same among many.
 *
 * The trap: a machine's limits are everybody's. Whether there is room for many objects is asked
 * before they are made, and not found out by using it up.
 */
#include "config.h"

#include "tools/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef DUOSHM_WITH_SYSV
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#endif
#ifdef DUOSHM_WITH_POSIX
#include <semaphore.h>
#include <sys/mman.h>
#endif

/* ---- the bare calls -------------------------------------------------------------------------- */

/* In the memory of the sides: another process takes it away if this one is killed. */
struct bare_object {
	_Atomic bool made;
	size_t size;
	unsigned bells;
	int segment, set; /* sysv, by `key` */
#ifdef DUOSHM_WITH_SYSV
	key_t key;
#endif
	char name[16]; /* posix, empty: not made; NetBSD takes 14 characters */
};

/* They return NULL, or the call that failed, with errno. `remove`: what was made so far. */
struct bare_calls {
	const char *family;
	const char *(*make)(struct bare_object *object, const char *scratch);
	const char *(*open)(struct bare_object *object, void **memory);
	const char *(*close)(struct bare_object *object, void *memory);
	void (*remove)(struct bare_object *object);
};

#ifdef DUOSHM_WITH_SYSV

/* A key that nobody has: another one's segment is not to be measured, still less removed. */
static const char *make_sysv(struct bare_object *object, const char *scratch)
{
	object->segment = object->set = -1;
	for (int id = 1; object->segment < 0 && id < 256; id++) {
		object->key = ftok(scratch, id);
		object->segment = shmget(object->key, object->size, IPC_CREAT | IPC_EXCL | 0600);
		if (object->segment < 0 && errno != EEXIST)
			return "shmget";
	}
	if (object->segment < 0)
		return "shmget";
	if (object->bells > 0)
		object->set = semget(object->key, (int)object->bells, IPC_CREAT | IPC_EXCL | 0600);
	return object->bells > 0 && object->set < 0 ? "semget" : NULL;
}

static const char *open_sysv(struct bare_object *object, void **memory)
{
	int id = shmget(object->key, 0, 0);

	if (id < 0)
		return "shmget";
	*memory = shmat(id, NULL, 0);
	if (*memory == (void *)-1)
		return "shmat";
	return object->bells > 0 && semget(object->key, 0, 0) < 0 ? "semget" : NULL;
}

static const char *close_sysv(struct bare_object *object, void *memory)
{
	(void)object;
	return shmdt(memory) < 0 ? "shmdt" : NULL;
}

static void remove_sysv(struct bare_object *object)
{
	if (object->segment >= 0)
		(void)shmctl(object->segment, IPC_RMID, NULL);
	if (object->set >= 0)
		(void)semctl(object->set, 0, IPC_RMID);
}

#endif

#ifdef DUOSHM_WITH_POSIX

static const char *bell_name(const struct bare_object *object, unsigned bell, char name[20])
{
	snprintf(name, 20, "%s%c", object->name, (char)('0' + bell));
	return name;
}

static const char *make_posix(struct bare_object *object, const char *scratch)
{
	unsigned bells = object->bells;
	char name[20];

	(void)scratch;
	object->bells = 0;
	snprintf(name, sizeof object->name, "/b%xo", (unsigned)getpid() & 0xffffffu);
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return "shm_open";
	memcpy(object->name, name, sizeof object->name);
	int result = ftruncate(fd, (off_t)object->size);
	close(fd);
	if (result < 0)
		return "ftruncate";
	for (; object->bells < bells; object->bells++) {
		sem_t *made =
			sem_open(bell_name(object, object->bells, name), O_CREAT | O_EXCL, 0600, 0);
		if (made == SEM_FAILED)
			return "sem_open";
		(void)sem_close(made);
	}
	return NULL;
}

/* A bell has no use for who only opens it, so it is closed at once. */
static const char *open_posix(struct bare_object *object, void **memory)
{
	struct stat status;
	char name[20];
	int fd = shm_open(object->name, O_RDWR, 0);

	if (fd < 0)
		return "shm_open";
	if (fstat(fd, &status) < 0)
		return "fstat";
	*memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (*memory == MAP_FAILED)
		return "mmap";
	for (unsigned bell = 0; bell < object->bells; bell++) {
		sem_t *opened = sem_open(bell_name(object, bell, name), 0);
		if (opened == SEM_FAILED || sem_close(opened) < 0)
			return "sem_open";
	}
	return NULL;
}

static const char *close_posix(struct bare_object *object, void *memory)
{
	return munmap(memory, object->size) < 0 ? "munmap" : NULL;
}

static void remove_posix(struct bare_object *object)
{
	char name[20];

	if (object->name[0] != '\0')
		(void)shm_unlink(object->name);
	for (unsigned bell = 0; object->name[0] != '\0' && bell < object->bells; bell++)
		(void)sem_unlink(bell_name(object, bell, name));
}

#endif

static const struct bare_calls families[] = {
#ifdef DUOSHM_WITH_SYSV
	{"sysv", make_sysv, open_sysv, close_sysv, remove_sysv},
#endif
#ifdef DUOSHM_WITH_POSIX
	{"posix", make_posix, open_posix, close_posix, remove_posix},
#endif
};

static const struct bare_calls *calls_of(const char *family)
{
	size_t i = 0;

	while (strcmp(families[i].family, family) != 0)
		i++;
	return &families[i];
}

/* ---- open, touch and close, beside them ------------------------------------------------------ */

static int fail_bare(struct bench_side *side, const char *call)
{
	if (errno == ENOSPC || errno == ENOMEM)
		return bench_skipped(side, "%s: %s", call, strerror(errno));
	return bench_failed(side, "%s: %s", call, strerror(errno));
}

/* One touch, which is what a page costs; verified is that it is the same memory each time. */
static bool touch(void *memory, uint64_t *touched)
{
	uint64_t *word = memory;

	return (*word)++ == (*touched)++;
}

static int floor_attach(struct bench_side *side)
{
	const struct bare_calls *calls = calls_of(side->backend);
	struct bare_object *object = side->memory;
	bool goes_on = true, same = true;
	uint64_t touched = 0;
	void *memory = NULL;

	object->size = (size_t)side->of->size;
	object->bells = (unsigned)side->of->count;
	const char *failed = calls->make(object, side->scratch);
	atomic_store(&object->made, true);
	bench_go(side);
	while (!failed && goes_on && same) {
		int64_t begin = tool_now();
		failed = calls->open(object, &memory);
		if (!failed) {
			same = touch(memory, &touched);
			failed = calls->close(object, memory);
		}
		goes_on = bench_record(side, begin, tool_now(), 1);
	}
	int result = failed ? fail_bare(side, failed) : 0;
	calls->remove(object);
	atomic_store(&object->made, false);
	return same ? result : bench_failed(side, "it was other memory");
}

static void sweep_attach(struct bench_side *side)
{
	struct bare_object *object = side->memory;

	if (atomic_load(&object->made))
		calls_of(side->backend)->remove(object);
}

static int open_and_close(struct bench_side *side, const char *name, uint64_t *touched)
{
	struct duoshm_segment *segment;
	int result = duoshm_segment_open(side->ctx, name, 0, 0, &segment);

	if (result < 0)
		return bench_refused(side, "open", result);
	bool same = touch(duoshm_segment_data(segment), touched);
	result = duoshm_segment_close(segment);
	if (result < 0)
		return bench_refused(side, "close", result);
	return same ? 0 : bench_failed(side, "%s: it was other memory", name);
}

/*
 * Closed at once: how many handles there are is not measured, and what the C library keeps of a
 * semaphore that this process has open would make opening it once more too cheap.
 */
static int make(struct bench_side *side, const char *name, uint64_t size, unsigned bells)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment;

	options.bells = bells;
	int result = duoshm_segment_create(side->ctx, name, (size_t)size, &options, &segment);
	if (result < 0)
		return bench_refused(side, "create", result);
	(void)duoshm_segment_close(segment);
	return 0;
}

static int run_attach(struct bench_side *side)
{
	int result = make(side, side->name, side->of->size, (unsigned)side->of->count);
	uint64_t touched = 0;
	bool goes_on = result == 0;

	bench_go(side);
	while (goes_on) {
		int64_t begin = tool_now();
		result = open_and_close(side, side->name, &touched);
		goes_on = bench_record(side, begin, tool_now(), 1) && result == 0;
	}
	(void)duoshm_remove(side->ctx, side->name);
	return result;
}

static const uint64_t attach_sizes[] = {4096, 64 << 10, 1 << 20, 16 << 20, BENCH_END};
static const uint64_t bells_size[] = {4096, BENCH_END};
static const uint64_t bells[] = {1, 2, 4, BENCH_END};

const struct bench_test bench_attach = {.name = "attach",
	.title = "open, touch and close",
	.unit = "open and close",
	.flags = BENCH_OWN_FLOORS | BENCH_ALONE,
	.sizes = attach_sizes,
	.sides = 1,
	.run = run_attach,
	.floor = floor_attach,
	.sweep = sweep_attach};

const struct bench_test bench_bells = {.name = "bells",
	.title = "open, touch and close, with bells",
	.unit = "open and close",
	.flags = BENCH_OWN_FLOORS | BENCH_ALONE,
	.sizes = bells_size,
	.counts = bells,
	.sides = 1,
	.run = run_attach,
	.floor = floor_attach,
	.sweep = sweep_attach};

/* ---- many objects ---------------------------------------------------------------------------- */

#define SPARE 16   /* segments left to others */
#define STEP  7919 /* a prime, so that it comes to each of a round number of objects */

static const char *name_of(const struct bench_side *side, uint64_t which, char name[64])
{
	snprintf(name, 64, "%s.%llu", side->name, (unsigned long long)which);
	return name;
}

/* As far as the family counts its segments at all. */
static int look_for_room(struct bench_side *side)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	int result = duoshm_probe(side->backend, &facts);

	if (result < 0)
		return bench_refused(side, "probe", result);
	for (unsigned i = 0; i < facts.n_limits; i++) {
		const struct duoshm_limit *limit = &facts.limits[i];
		if (strcmp(limit->unit, "segments") == 0 && limit->value >= 0 && limit->used >= 0 &&
			limit->value - limit->used < (int64_t)side->of->count + SPARE)
			return bench_skipped(side, "%s is %lld, and %lld are in use", limit->source,
				(long long)limit->value, (long long)limit->used);
	}
	return 0;
}

static int among_many(struct bench_side *side, int (*measure)(struct bench_side *side))
{
	int result = look_for_room(side);
	uint64_t made = 0;
	char name[64];

	while (result == 0 && made < side->of->count) {
		result = make(side, name_of(side, made, name), sizeof(uint64_t), 0);
		made += result == 0;
	}
	bench_go(side);
	if (result == 0)
		result = measure(side);
	while (made > 0)
		(void)duoshm_remove(side->ctx, name_of(side, --made, name));
	return result;
}

static int measure_open(struct bench_side *side)
{
	uint64_t count = side->of->count, *touched = side->memory, which = 0;
	bool goes_on = true;
	int result = 0;

	while (result == 0 && goes_on) {
		char name[64];
		name_of(side, which, name);
		int64_t begin = tool_now();
		result = open_and_close(side, name, &touched[which]);
		goes_on = bench_record(side, begin, tool_now(), 1);
		which = (which + STEP) % count;
	}
	return result;
}

static int count_one(const struct duoshm_stat *object, void *arg)
{
	uint64_t *live = arg;

	*live += object->state == DUOSHM_LIVE;
	return 0;
}

static int measure_list(struct bench_side *side)
{
	uint64_t count = side->of->count;
	bool goes_on = true;

	while (goes_on) {
		uint64_t live = 0;
		int64_t begin = tool_now();
		int result = duoshm_list(side->ctx, 0, count_one, &live);
		goes_on = bench_record(side, begin, tool_now(), count);
		if (result < 0)
			return bench_refused(side, "list", result);
		if (live != count)
			return bench_failed(side, "listed are %llu", (unsigned long long)live);
	}
	return 0;
}

static int run_objects(struct bench_side *side)
{
	return among_many(side, measure_open);
}

static int run_list(struct bench_side *side)
{
	return among_many(side, measure_list);
}

static const uint64_t counts[] = {10, 100, 1000, 10000, BENCH_END};

const struct bench_test bench_objects = {.name = "objects",
	.title = "open, touch and close, one of many",
	.unit = "open and close",
	.flags = BENCH_ALONE,
	.counts = counts,
	.sides = 1,
	.rounds = 1,
	.run = run_objects};

const struct bench_test bench_list = {.name = "list",
	.title = "list, each of many",
	.unit = "object",
	.flags = BENCH_ALONE,
	.counts = counts,
	.sides = 1,
	.rounds = 1,
	.run = run_list};
