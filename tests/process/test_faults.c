/* SPDX-License-Identifier: MIT */
/*
 * Each call that the library makes to the system fails, with each error that it may give, each time
 * that it is made: in the lives of contexts and objects of all kinds, on the built families. What
 * fails is told with its call and errno, or can be lived with; the same step then works, and in the
 * end nothing is left. A life is lived once undisturbed, to count the calls, and once per fault.
 */
#include "config.h"

#include "device/server.h"
#include "duoshm/device.h"
#include "harness/fixture.h"
#include "harness/native.h"

/* What may fail, and how. `must`: it is never lived with in silence. */
static const struct fault {
	const char *call;
	bool must;
	int errors[8];
} faults[] = {
	{"open", false, {EINTR, EACCES, EMFILE, ENFILE, ENOSPC, ENOMEM}},
	{"fstat", false, {EIO, ENOMEM}},
	{"lstat", false, {EACCES, ENOMEM}},
	{"stat", false, {EACCES, ENOMEM}},
	{"fchmod", true, {EPERM, EROFS, EIO}},
	{"flock", false, {EINTR, ENOLCK}},
	{"link", true, {EACCES, EPERM, ENOSPC, EDQUOT, EIO}},
	{"unlink", false, {EACCES, EROFS, EIO}},
	{"mkdir", true, {EACCES, ENOSPC, EROFS}},
	{"read", false, {EINTR, EIO}},
	{"pread", false, {EINTR, EIO}},
	{"pwrite", false, {EINTR, ENOSPC, EDQUOT, EFBIG, EIO}},
	{"ftruncate", true, {EINTR, EFBIG, ENOSPC, EIO}},
	{"posix_fallocate", true, {EINTR, ENOSPC, EFBIG, ENOMEM, EOPNOTSUPP}},
	{"opendir", false, {EMFILE, ENFILE, ENOMEM, EACCES}},
	{"readdir", false, {EIO}},
	{"closedir", false, {EINTR}},
	{"fopen", false, {EMFILE, ENOMEM, EACCES}},
	{"getrandom", false, {EINTR, ENOSYS, EAGAIN}},
	{"close", false, {EINTR, EIO, ENOSPC}},
	{"mmap", false, {ENOMEM, EMFILE, EACCES, ENODEV}},
	{"munmap", false, {ENOMEM}},
	{"madvise", false, {EINVAL, ENOMEM}},
	{"malloc", false, {ENOMEM}},
	{"calloc", false, {ENOMEM}},
	{"realloc", false, {ENOMEM}},
	{"nanosleep", false, {EINTR}},
	{"ftok", true, {EACCES, ENOMEM, EIO}},
	{"shmget", false, {EACCES, ENOMEM}},
	{"shmget IPC_CREAT", true, {EACCES, EINVAL, ENFILE, ENOMEM, ENOSPC, EEXIST}},
	{"shmat", false, {EACCES, ENOMEM, EMFILE, EINVAL, EIDRM}},
	{"shmdt", false, {EINVAL}},
	{"shmctl", false, {EACCES, EIDRM}},
	{"shmctl IPC_RMID", true, {EPERM}},
	{"semget", false, {EACCES, ENOMEM}},
	{"semget IPC_CREAT", true, {EACCES, ENOMEM, ENOSPC, EINVAL, EEXIST}},
	{"semctl", false, {EACCES, ENOMEM}},
	{"semctl IPC_RMID", true, {EPERM}},
	{"semop", false, {EINTR, EACCES, ENOMEM, ERANGE}},
	{"semop of several", true, {EINTR, EACCES, ENOMEM}},
	{"semtimedop", false, {EINTR, EACCES, ENOMEM, EAGAIN}},
	{"shm_open", false, {EINTR, EACCES, EMFILE, ENFILE, ENOMEM}},
	{"shm_open O_CREAT", true, {EINTR, EACCES, EMFILE, ENFILE, ENOSPC, ENOMEM, EEXIST}},
	{"shm_unlink", true, {EACCES, EROFS}},
	{"sem_open", false, {EINTR, EACCES, EMFILE, ENFILE, ENOMEM}},
	{"sem_open O_CREAT", true, {EINTR, EACCES, EMFILE, ENFILE, ENOSPC, ENOMEM, EEXIST}},
	{"sem_unlink", true, {EACCES, EROFS}},
	{"sem_close", false, {EINVAL}},
	{"sem_post", false, {EINTR, EOVERFLOW, EINVAL}},
	{"sem_clockwait", false, {EINTR, EINVAL, ETIMEDOUT}},
	{"sem_timedwait", false, {EINTR, EINVAL, ETIMEDOUT}},
};

/* The codes that stand for an errno. One that is not in here must never be told. */
static const struct meaning {
	int error, codes[4];
} meanings[] = {
	{EACCES, {DUOSHM_ERR_PERMISSION}},
	{EPERM, {DUOSHM_ERR_PERMISSION, DUOSHM_ERR_REGISTRY}}, /* no hard links there */
	{EROFS, {DUOSHM_ERR_PERMISSION}},
	{EMFILE, {DUOSHM_ERR_LIMIT}},
	{ENFILE, {DUOSHM_ERR_LIMIT, DUOSHM_ERR_SYSTEM}}, /* shmget's: of all files */
	{EFBIG, {DUOSHM_ERR_LIMIT}},
	{ENOSPC, {DUOSHM_ERR_NO_SPACE, DUOSHM_ERR_LIMIT}},
	{EDQUOT, {DUOSHM_ERR_NO_SPACE}},
	{ENOMEM, {DUOSHM_ERR_NO_SPACE, DUOSHM_ERR_SYSTEM}},
	{EIO, {DUOSHM_ERR_SYSTEM, DUOSHM_ERR_REGISTRY}},
	{ENODEV, {DUOSHM_ERR_SYSTEM, DUOSHM_ERR_REGISTRY}},
	{ENOLCK, {DUOSHM_ERR_REGISTRY, DUOSHM_ERR_SYSTEM}},
	{EEXIST, {DUOSHM_ERR_COLLISION}},
	/* Too large for a new one; of an old one, that it is gone. */
	{EINVAL, {DUOSHM_ERR_LIMIT, DUOSHM_ERR_NOT_FOUND, DUOSHM_ERR_REMOVED, DUOSHM_ERR_SYSTEM}},
	{EIDRM, {DUOSHM_ERR_NOT_FOUND, DUOSHM_ERR_REMOVED}},
};

static void live_context(void), live_segment(void), live_unpublished(void), live_semaphore(void),
	live_lock(void), live_queue(void), live_broadcast(void), live_listed(void),
	live_after_a_death(void), live_adopted(void), live_probed(void), live_device(void);
static void (*const lives[])(void) = {live_context, live_segment, live_unpublished, live_semaphore,
	live_lock, live_queue, live_broadcast, live_listed, live_after_a_death, live_adopted,
	live_probed, live_device};

/* Shared with the child that lives. */
static struct job {
	unsigned life, row;
	long done;
} * job;
static struct duoshm *ctx;
static struct native_held before;
static int error;        /* that is injected */
static bool told;        /* it has been */
static const char *step; /* for the message of a failing case */

static void complain(const char *what)
{
	const struct duoshm_failure *failure = duoshm_failure();

	fprintf(stderr, "\n%s: \"%s\" failed with %d (%s): %s; told: %d, %d %s: %s\n", step,
		faults[job->row].call, error, strerror(error), what, failure->code,
		failure->system_error, failure->call, failure->cause);
	EXPECT_TEXT(what, "");
}

static bool means(int code)
{
	/* A death that cannot be proven. */
	if (code == DUOSHM_ERR_EXISTS && lives[job->life] == live_after_a_death)
		return true;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		for (size_t k = 0; k < 4 && meanings[i].error == error; k++)
			if (meanings[i].codes[k] == code)
				return true;
	return false;
}

/* "shmat SHM_RDONLY(7)" is told of shmat, and what is told of a file may be fstat's. */
static bool names(const char *call)
{
	const char *failed = faults[job->row].call;
	char word[32];

	snprintf(word, sizeof word, "%.*s", (int)strcspn(call, " ("), call);
	return strstr(failed, word) != NULL ||
	       (strcmp(failed, "fstat") == 0 && strcmp(word, "open") == 0);
}

/* That it is gone, or was taken, is a finding, and tells no call; memory is the C library's, too. */
static bool needs_no_call(int code)
{
	return code == DUOSHM_ERR_NOT_FOUND || code == DUOSHM_ERR_REMOVED ||
	       code == DUOSHM_ERR_COLLISION || code == DUOSHM_ERR_EXISTS ||
	       (code == DUOSHM_ERR_NO_SPACE && strstr(faults[job->row].call, "alloc") != NULL);
}

static bool stands(int result, const char *text, bool may_time_out)
{
	const struct duoshm_failure *failure = duoshm_failure();
	bool interrupts = error == EINTR && result == DUOSHM_ERR_INTERRUPTED;

	native_off();
	step = text;
	if (result >= 0 || (may_time_out && result == DUOSHM_ERR_TIMEOUT))
		return true;
	if (told || !native_failed())
		complain("nothing failed now");
	else if (!means(result) && !(interrupts && strstr(text, "_sleep") != NULL))
		complain("not its code");
	else if (failure->code != result)
		complain("the record has another code");
	else if (!needs_no_call(result) &&
		 (failure->system_error != error || !names(failure->call)))
		complain("the record does not tell it");
	told = true;
	return false;
}

#define TRY(call)  (native_on(), stands((int)(call), #call, false))
#define ONCE(call) ((void)TRY(call))
#define WAIT(call) ((void)(native_on(), stands((int)(call), #call, true)))
/* It may fail once, and then must work. */
#define STEP(call) ((void)(TRY(call) || TRY(call)))

static const char *the(const char *stem)
{
	return harness_name(stem);
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void live_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *own = NULL;

	options.directory = harness_path("own");
	STEP(duoshm_new(&options, &own));
	told |= means(DUOSHM_ERR_PERMISSION); /* such a context reads, and says so in its log */
	STEP(duoshm_free(own));
	/* Who comes next sweeps what could not be unlinked. */
	CHECK(rmdir(options.directory) == 0 || strcmp(faults[job->row].call, "unlink") == 0);
	harness_remove_tree(options.directory);
}

static void live_segment(void)
{
	struct duoshm_create options = create_with(0, 2);
	struct duoshm_stat status = DUOSHM_STAT_INIT;
	struct duoshm_segment *made = NULL, *opened = NULL;

	STEP(duoshm_segment_create(ctx, the("seg"), 1000, &options, &made));
	STEP(duoshm_segment_open(ctx, the("seg"), 0, 0, &opened));
	((char *)duoshm_segment_data(made))[999] = 5;
	EXPECT(((char *)duoshm_segment_data(opened))[999], 5);
	STEP(duoshm_segment_ring(made, 1));
	WAIT(duoshm_segment_sleep(opened, 1, MS));
	STEP(duoshm_stat(ctx, the("seg"), &status));
	CHECK(status.state == DUOSHM_LIVE || status.state == DUOSHM_UNKNOWN);
	ONCE(duoshm_segment_close(opened));
	STEP(duoshm_remove(ctx, the("seg")));
	ONCE(duoshm_segment_close(made));
}

static void live_unpublished(void)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, 0);
	struct duoshm_segment *made = NULL;

	STEP(duoshm_segment_create(ctx, the("unp"), 100, &options, &made));
	STEP(duoshm_segment_publish(made));
	ONCE(duoshm_segment_close(made));
	options.flags = DUOSHM_OPEN_OR_CREATE;
	STEP(duoshm_segment_create(ctx, the("unp"), 100, &options, &made));
	STEP(duoshm_segment_remove(made));
	ONCE(duoshm_segment_close(made));
	options.flags = DUOSHM_UNPUBLISHED;
	STEP(duoshm_segment_create(ctx, the("unp"), 100, &options, &made));
	ONCE(duoshm_segment_close(made));
}

static void live_semaphore(void)
{
	struct duoshm_semaphore *made = NULL, *opened = NULL;

	STEP(duoshm_semaphore_create(ctx, the("sem"), 1, NULL, &made));
	STEP(duoshm_semaphore_open(ctx, the("sem"), 0, 0, &opened));
	STEP(duoshm_semaphore_wait(opened, 0, 0));
	WAIT(duoshm_semaphore_wait(opened, MS, 0));
	STEP(duoshm_semaphore_post(made, 3));
	EXPECT(duoshm_semaphore_value(opened), 3);
	ONCE(duoshm_semaphore_close(opened));
	ONCE(duoshm_semaphore_close(made));
	STEP(duoshm_remove(ctx, the("sem")));
}

static void live_lock(void)
{
	struct duoshm_lock *made = NULL, *opened = NULL;

	STEP(duoshm_lock_create(ctx, the("lock"), NULL, &made));
	STEP(duoshm_lock_open(ctx, the("lock"), 0, 0, &opened));
	STEP(duoshm_lock_acquire(opened, 0));
	WAIT(duoshm_lock_acquire(made, MS));
	STEP(duoshm_lock_release(opened));
	ONCE(duoshm_lock_close(opened));
	ONCE(duoshm_lock_close(made));
	STEP(duoshm_remove(ctx, the("lock")));
}

static void live_queue(void)
{
	struct duoshm_queue *in = NULL, *out = NULL;
	char text[8];

	STEP(duoshm_queue_create(ctx, the("queue"), 512, DUOSHM_PRODUCER, NULL, &in));
	STEP(duoshm_queue_open(ctx, the("queue"), DUOSHM_CONSUMER, 0, &out));
	WAIT(duoshm_queue_receive(out, text, sizeof text, MS));
	STEP(duoshm_queue_send(in, "hello", 6, 0));
	STEP(duoshm_queue_receive(out, text, sizeof text, 0));
	EXPECT_TEXT(text, "hello");
	ONCE(duoshm_queue_close(in));
	ONCE(duoshm_queue_close(out));
	STEP(duoshm_remove(ctx, the("queue")));
}

static void live_broadcast(void)
{
	struct duoshm_broadcast *in = NULL, *out = NULL;
	char text[8];

	STEP(duoshm_broadcast_create(ctx, the("cast"), 512, NULL, &in));
	STEP(duoshm_broadcast_open(ctx, the("cast"), DUOSHM_READER, 0, 0, &out));
	WAIT(duoshm_broadcast_next(out, text, sizeof text, NULL, MS));
	STEP(duoshm_broadcast_publish(in, "hello", 6));
	STEP(duoshm_broadcast_next(out, text, sizeof text, NULL, 0));
	ONCE(duoshm_broadcast_close(out));
	ONCE(duoshm_broadcast_close(in));
	STEP(duoshm_remove(ctx, the("cast")));
}

/* Nobody living is ever thought dead. */
static int note_state(const struct duoshm_stat *object, void *arg)
{
	if (object->name[0] != '\0') {
		CHECK(object->state == DUOSHM_LIVE || object->state == DUOSHM_UNKNOWN);
		++*(unsigned *)arg;
	}
	return 0;
}

static void live_listed(void)
{
	struct duoshm_segment *made = NULL;
	unsigned n = 0;

	STEP(duoshm_segment_create(ctx, the("list"), 10, NULL, &made));
	STEP(duoshm_list(ctx, DUOSHM_SYSTEM, note_state, &n));
	CHECK(n >= 1);
	STEP(duoshm_reclaim(ctx, 0, NULL, NULL));
	EXPECT(native_held().objects, before.objects + 1);
	ONCE(duoshm_segment_close(made));
	STEP(duoshm_remove(ctx, the("list")));
}

static int create_and_exit(void *arg)
{
	static struct duoshm_segment *segment;
	struct duoshm_create options = create_with(0, 1);

	(void)arg;
	CHECK(duoshm_segment_create(new_context(), the("dead"), 64, &options, &segment) >= 0);
	return 0;
}

static void live_after_a_death(void)
{
	struct duoshm_segment *made = NULL;

	EXPECT(harness_wait(harness_fork(create_and_exit, NULL)), 0);
	STEP(duoshm_reclaim(ctx, 0, NULL, NULL));
	told |= native_failed(); /* it passes over what it cannot remove, and says so in its log */
	EXPECT(harness_wait(harness_fork(create_and_exit, NULL)), 0);
	STEP(duoshm_segment_create(ctx, the("dead"), 10, NULL, &made));
	ONCE(duoshm_segment_close(made));
	STEP(duoshm_remove(ctx, the("dead")));
}

static void live_adopted(void)
{
	struct duoshm_segment *made = make_segment(ctx, "adopt", 64, 0), *adopted = NULL;
	struct duoshm_stat status = stat_of(ctx, "adopt");
	char native[128];

	snprintf(native, sizeof native, "%s:%s", harness_backend(), status.native);
	STEP(duoshm_segment_adopt(ctx, native, DUOSHM_READ_ONLY, &adopted));
	ONCE(duoshm_segment_close(adopted));
	STEP(duoshm_segment_remove(made));
	ONCE(duoshm_segment_close(made));
}

/* A probe tells in its own way; what it may not remove again, nobody can. */
static void live_probed(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	const char *call = faults[job->row].call;

	if (strstr(call, "_unlink") != NULL || strstr(call, "IPC_RMID") != NULL)
		return;
	STEP(duoshm_probe(harness_backend(), &facts));
	CHECK(facts.works || facts.reason[0] != '\0');
	told |= !facts.works;
	CHECK(facts.works || error != EINTR);
}

static void live_device(void)
{
	struct duoshm__setup setup;
	struct duoshm__server *server = NULL;
	struct duoshm_device *device = NULL;
	struct duoshm_block block;

	duoshm__setup_init(&setup);
	OK(duoshm__setup_set(&setup, "name", the("device")));
	OK(duoshm__setup_set(&setup, "wave", "sine"));
	OK(duoshm__setup_set(&setup, "rate", "10Hz"));
	STEP(duoshm__server_new(ctx, &setup, 0, &server));
	STEP(duoshm__server_step(server, 0));
	STEP(duoshm_device_connect(ctx, the("device"), 0, &device));
	STEP(duoshm_device_check(device));
	STEP(duoshm_device_follow(device));
	WAIT(duoshm_device_command(device, "status", NULL, 0, MS));
	STEP(duoshm__server_step(server, 10 * SECOND));
	STEP(duoshm_device_next(device, SECOND, &block));
	ONCE(duoshm_device_disconnect(device));
	ONCE(duoshm__server_free(server));
}

/* ---- each of them, with each fault ----------------------------------------------------------- */

static int remove_it(const struct duoshm_stat *object, void *arg)
{
	(void)arg;
	OK(duoshm_remove(ctx, object->name));
	return 0;
}

/* What was told and not done can be found, by the cleaner or by its name. */
static void nothing_is_left(void)
{
	if (told)
		CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0 &&
			duoshm_list(ctx, 0, remove_it, NULL) >= 0);
	struct native_held now = native_held();
	if (memcmp(&now, &before, sizeof now) == 0 && harness_entries(duoshm_directory(ctx)) == 0)
		return;
	fprintf(stderr,
		"\n%d descriptors, %d (%d) inheritable, %d mappings, %d semaphores, %d objects\n",
		now.descriptors - before.descriptors, now.inheritable - before.inheritable,
		now.inheritable, now.mappings - before.mappings, now.semaphores - before.semaphores,
		now.objects - before.objects);
	complain("something is left");
}

static void live_with(const struct fault *fault, unsigned nth)
{
	told = false;
	native_begin(fault->call, nth, error);
	lives[job->life]();
	job->done += native_failed();
	if (native_failed() && !told && fault->must && error != EINTR && error != EOPNOTSUPP &&
		error != EEXIST)
		complain("was not told");
	native_begin(NULL, 0, 0);
	nothing_is_left();
}

/* Twice undisturbed: what is made but once in a process has been made then. */
static int fail_each(void *arg)
{
	const struct fault *fault = &faults[job->row];
	unsigned stride = (unsigned)harness_scale(7, 2, 1), n;

	(void)arg;
	ctx = new_context();
	lives[job->life]();
	before = native_held();
	native_begin(NULL, 0, 0);
	lives[job->life]();
	nothing_is_left();
	CHECK(before.inheritable == 0);
	n = native_count(fault->call);
	for (unsigned nth = 1; nth <= n; nth += stride)
		for (const int *each = fault->errors; *each != 0; each++) {
			error = *each;
			live_with(fault, nth);
		}
	end_context(ctx);
	return 0;
}

/* The last is the device's, whose lane needs more than 64 KiB. */
static size_t number_of_lives(void)
{
	return sizeof lives / sizeof *lives - harness_profile("tiny-shm");
}

static void each_fault_in_each_life(void)
{
	int status = 0;

	if (!native_works() || harness_profile("macos-arm64"))
		HARNESS_SKIP("the system's calls cannot be had here");
	job = harness_shared(sizeof *job);
	/* The first that fails is enough to look at. */
	for (job->life = 0; job->life < number_of_lives() && status == 0; job->life++)
		for (job->row = 0; job->row < sizeof faults / sizeof *faults && status == 0;
			job->row++)
			status = harness_wait(harness_fork(fail_each, NULL));
	EXPECT(status, 0);
	harness_proves(19, job->done, "faults");
}

/* What a failing child left. */
static void end(void)
{
	ctx = new_context();
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0);
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"each call fails with each error, and each life goes on", each_fault_in_each_life},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(NULL, end);
	return harness_run_each(argc, argv, "faults", cases);
}
