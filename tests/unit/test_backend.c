/* SPDX-License-Identifier: MIT */
/*
 * The backend contract on the record of each built family, as far as it cannot be seen through the
 * library: names, what is taken or absent, what a dead creator left, what a machine does that is
 * full or broken. The library is not used but to find the record. That other users are kept out,
 * that a ring wakes, a signal interrupts and a limit is named is proven through the library, by
 * ../conformance and ../process.
 */
#include "config.h"

#include "core/context.h"
#include "core/random.h"
#include "harness/harness.h"

#include <sys/resource.h>

#define SIZE 8192

/* Made through the record alone. */
struct object {
	struct duoshm__native native;
	struct duoshm__map map;
	struct duoshm__bells *bells; /* NULL: none */
	unsigned n_bells;
	uint64_t generation;
};

static struct duoshm_failure why;

static const struct duoshm__backend *the_backend(void)
{
	return duoshm__backend_find(harness_backend());
}

static bool is_sysv(void)
{
	return strcmp(harness_backend(), "sysv") == 0;
}

/* What the name of `stem` is made from: an entry file and a random generation. */
static struct duoshm__naming naming_of(const char *stem)
{
	struct duoshm__naming naming = {
		.name = harness_name(stem), .entry_path = harness_path(stem)};
	FILE *file = fopen(naming.entry_path, "w");

	CHECK_FATAL(file != NULL);
	fclose(file);
	OK(duoshm__random(64, &naming.generation));
	return naming;
}

/* Tries the names as core does. */
static struct object make_object(const char *stem, unsigned n_bells)
{
	const struct duoshm__backend *backend = the_backend();
	struct duoshm__naming naming = naming_of(stem);
	struct object object = {.n_bells = n_bells, .generation = naming.generation};
	unsigned attempt = 0;
	int result;

	do {
		OK(backend->derive(&naming, attempt++, &object.native, &why));
		result = backend->create(&object.native, SIZE, 0640, &object.map, &why);
	} while (result == DUOSHM_ERR_EXISTS);
	OK(result);
	if (n_bells > 0)
		result = backend->bells_create(&object.native, n_bells, 0640, &object.bells, &why);
	if (result < 0)
		backend->remove(&object.native, 0, &(struct duoshm_failure){0});
	OK(result);
	return object;
}

/* Removes what is still there, closes and detaches. */
static void end_object(struct object *object)
{
	const struct duoshm__backend *backend = the_backend();

	EXPECT(backend->remove(&object->native, object->n_bells, &why), 0);
	if (object->bells != NULL)
		backend->bells_close(object->bells);
	EXPECT(backend->detach(&object->map, &why), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_differ_and_come_to_an_end(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct duoshm__naming naming = naming_of("names");
	struct duoshm__native first, next;
	unsigned attempt = 1;
	int result;

	OK(backend->derive(&naming, 0, &first, &why));
	EXPECT(first.segment_id, -1);
	EXPECT(first.bells_id, -1);
	while ((result = backend->derive(&naming, attempt, &next, &why)) == 0 && attempt < 1000) {
		CHECK(strcmp(first.text, next.text) != 0);
		CHECK(strtoull(next.text, NULL, 16) != 0);
		attempt++;
	}
	EXPECT(result, DUOSHM_ERR_COLLISION);
	EXPECT(why.code, DUOSHM_ERR_COLLISION);
	CHECK(why.cause[0] != '\0');
	EXPECT(attempt, is_sysv() ? 255 : 1);
	if (!is_sysv())
		return;
	naming.entry_path = harness_path("no-such-file");
	EXPECT(backend->derive(&naming, 0, &next, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.call, "ftok");
}

static void the_longest_name_has_room(void)
{
	struct duoshm__naming naming = naming_of("long");
	struct duoshm__native native;
	char longest[DUOSHM_NAME_SIZE] = "";

	memset(longest, 'x', DUOSHM_NAME_MAX);
	naming.name = longest;
	OK(the_backend()->derive(&naming, 0, &native, &why));
	if (is_sysv())
		return;
	CHECK(strlen(native.text) <= DUOSHM_SHM_NAME_MAX);
	EXPECT(native.text[0], '/');
	CHECK(strchr(native.text + 1, '/') == NULL);
	if (DUOSHM_SHM_NAME_MAX >= 90)
		EXPECT_PART(native.text, longest);
}

/* ---- segments -------------------------------------------------------------------------------- */

static void a_taken_name_is_told_whatever_is_asked_for(void)
{
	struct object object = make_object("taken", 1);
	struct duoshm__native again = object.native;
	struct duoshm__map map = {.address = &again, .length = 1};
	struct duoshm__bells *bells = NULL;

	again.segment_id = -1;
	/* macOS and OpenBSD look at the size and the permission first. */
	EXPECT(the_backend()->create(&again, 64 * SIZE, 0600, &map, &why), DUOSHM_ERR_EXISTS);
	EXPECT(the_backend()->create(&again, 16, 0666, &map, &why), DUOSHM_ERR_EXISTS);
	EXPECT(why.code, DUOSHM_ERR_EXISTS);
	EXPECT_PART(why.call, again.text);
	EXPECT(the_backend()->bells_create(&again, 4, 0600, &bells, &why), DUOSHM_ERR_EXISTS);
	EXPECT(the_backend()->bells_create(&again, 1, 0600, &bells, &why), DUOSHM_ERR_EXISTS);
	/* outputs untouched, and what was there is still there */
	EXPECT(again.segment_id, -1);
	CHECK(map.address == &again);
	CHECK(bells == NULL);
	EXPECT(the_backend()->stat(&object.native, &(struct duoshm__native_stat){0}, &why), 0);
	EXPECT(the_backend()->ring(object.bells, 0, &why), 0);
	EXPECT(the_backend()->wait(object.bells, 0, 0, &why), 0);
	end_object(&object);
}

static void what_is_absent_is_not_found(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct object object = make_object("absent", 1);
	struct duoshm__native native = object.native;
	struct duoshm__native_stat status;
	struct duoshm__bells *bells;
	struct duoshm__map map;

	/* A name with something behind it is another name. */
	snprintf(native.text + strlen(native.text), 8, "junk");
	native.segment_id = -1;
	EXPECT(backend->attach(&native, true, &map, &why), DUOSHM_ERR_NOT_FOUND);
	native = object.native;
	end_object(&object);
	EXPECT(backend->attach(&native, false, &map, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT(why.code, DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.cause, native.text);
	EXPECT(backend->stat(&native, &status, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT(backend->bells_open(&native, 1, &bells, &why), DUOSHM_ERR_NOT_FOUND);
	CHECK(backend->bells_uid(&native, 1) < 0);
	EXPECT(backend->remove(&native, 1, &why), 0);
}

static void nonsense_names_are_refused(void)
{
	static const char *const texts[] = {"", "nothing", "0x", "0x00000000", "0x12junk", "id:-1",
		"id:99999999999999999999", "/no.such.segment.anywhere"};
	struct duoshm__native native = {.segment_id = -1, .bells_id = -1};
	struct duoshm__map map;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		snprintf(native.text, sizeof native.text, "%s", texts[i]);
		CHECK(the_backend()->attach(&native, true, &map, &why) < 0);
	}
}

static void stat_tells_what_the_kernel_knows(void)
{
	struct object object = make_object("stat", 1);
	struct duoshm__native_stat status;
	int64_t bells = the_backend()->bells_uid(&object.native, 1);

	OK(the_backend()->stat(&object.native, &status, &why));
	CHECK(status.size >= SIZE);
	EXPECT(status.uid, geteuid());
	EXPECT(bells == DUOSHM__UID_UNTOLD ? (int64_t)geteuid() : bells, geteuid());
	EXPECT(status.mode, 0640);
	EXPECT(status.creator_pid, is_sysv() ? getpid() : -1);
	EXPECT(status.attached, is_sysv() ? 1 : -1);
	end_object(&object);
}

static void the_old_record_removes_no_new_object(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct duoshm__map seen;

	if (!is_sysv())
		HARNESS_SKIP("a name is never met again");
	struct object object = make_object("stays", 1), newer = object;
	EXPECT(backend->remove(&object.native, 1, &why), 0);
	newer.native.segment_id = newer.native.bells_id = -1;
	OK(backend->create(&newer.native, SIZE, 0600, &newer.map, &why));
	OK(backend->bells_create(&newer.native, 1, 0600, &newer.bells, &why));
	EXPECT(backend->remove(&object.native, 1, &why), 0);
	OK(backend->attach(&newer.native, true, &seen, &why));
	EXPECT(backend->detach(&seen, &why), 0);
	EXPECT(backend->ring(newer.bells, 0, &why), 0);
	EXPECT(backend->stat(&object.native, &(struct duoshm__native_stat){0}, &why),
		DUOSHM_ERR_NOT_FOUND);
	end_object(&newer);
	end_object(&object);
}

/* ---- what a dead creator left ---------------------------------------------------------------- */

#define GENERATION_OFFSET 16

static struct duoshm__claim claim_of(const struct object *object)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct duoshm__claim){.size = SIZE,
		.n_bells = object->n_bells,
		.creator_pid = (int64_t)getpid(),
		.since_ns = ((int64_t)now.tv_sec - 5) * 1000000000,
		.generation = object->generation,
		.generation_offset = GENERATION_OFFSET};
}

static bool segment_is_there(const struct object *object)
{
	return the_backend()->stat(&object->native, &(struct duoshm__native_stat){0}, &why) == 0;
}

static bool bells_are_there(const struct object *object)
{
	struct duoshm__bells *bells;

	if (the_backend()->bells_open(&object->native, object->n_bells, &bells, &why) < 0)
		return false;
	the_backend()->bells_close(bells);
	return true;
}

/*
 * The memory bears the generation, another, or none yet; the claim may be of another size, maker or
 * time.
 */
static void reap_takes_what_is_claimed_and_nothing_else(void)
{
	enum memory { NONE, OURS, ANOTHER };
	static const struct {
		enum memory memory;
		size_t size;
		int64_t pid, later_s; /* pid 0: ours */
		bool stays, stays_on_posix;
	} claims[] = {
		{OURS, SIZE, 1, 0, false, false}, /* the generation alone decides */
		{NONE, SIZE, 0, 0, false, false},
		{ANOTHER, SIZE, 0, 0, true, true},
		{NONE, 16 * SIZE, 0, 0, true, true},
		{NONE, SIZE, 1, 0, true, false},
		{NONE, SIZE, 0, 3600, true, false},
	};

	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		struct object object = make_object("reap", 2);
		/* What the registry has of it when the creator dies before the ids are written. */
		struct duoshm__native name_alone = object.native;
		struct duoshm__claim claim = claim_of(&object);
		uint64_t generation = claims[i].memory == NONE ? 0 : claim.generation;
		bool stays = is_sysv() ? claims[i].stays : claims[i].stays_on_posix;

		name_alone.segment_id = name_alone.bells_id = -1;
		if (claims[i].memory == ANOTHER)
			generation ^= 1;
		memcpy((char *)object.map.address + GENERATION_OFFSET, &generation,
			sizeof generation);
		claim.size = claims[i].size;
		claim.since_ns += claims[i].later_s * 1000000000;
		if (claims[i].pid != 0)
			claim.creator_pid = claims[i].pid;
		EXPECT(the_backend()->reap(&name_alone, &claim, &why), 0);
		EXPECT(segment_is_there(&object), stays);
		EXPECT(bells_are_there(&object), stays);
		EXPECT(the_backend()->reap(&name_alone, &claim, &why), 0);
		end_object(&object);
	}
}

static void reap_takes_bells_that_outlived_their_segment(void)
{
	struct object object = make_object("lonely", 2);
	struct duoshm__claim claim = claim_of(&object);

	EXPECT(the_backend()->remove(&object.native, 0, &why), 0);
	CHECK(bells_are_there(&object));
	EXPECT(the_backend()->reap(&object.native, &claim, &why), 0);
	CHECK(!bells_are_there(&object));
	end_object(&object);
}

/* ---- bells ----------------------------------------------------------------------------------- */

static void bells_begin_silent_and_keep_a_ring(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct object object = make_object("bells", 4);
	struct duoshm__bells *others;
	int64_t begun;

	for (unsigned i = 0; i < 4; i++)
		EXPECT(backend->wait(object.bells, i, 0, &why), DUOSHM_ERR_TIMEOUT);
	OK(backend->bells_open(&object.native, 4, &others, &why));
	EXPECT(backend->ring(others, 2, &why), 0);
	EXPECT(backend->wait(object.bells, 1, 0, &why), DUOSHM_ERR_TIMEOUT);
	EXPECT(backend->wait(object.bells, 3, 0, &why), DUOSHM_ERR_TIMEOUT);
	EXPECT(backend->wait(object.bells, 2, 1000000000, &why), 0);
	EXPECT(backend->wait(object.bells, 2, 0, &why), DUOSHM_ERR_TIMEOUT);
	/* A wait lasts its time. */
	begun = harness_now();
	EXPECT(backend->wait(object.bells, 2, 30000000, &why), DUOSHM_ERR_TIMEOUT);
	CHECK(harness_now() - begun >= 29000000);
	/* A bell that does not exist is an error, not somebody else's. */
	EXPECT(backend->ring(others, 4, &why), DUOSHM_ERR_INVALID);
	EXPECT(backend->wait(others, 4, 0, &why), DUOSHM_ERR_INVALID);
	backend->bells_close(others);
	end_object(&object);
}

/* ---- probe, list, words ---------------------------------------------------------------------- */

static void the_probe_says_that_it_works(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	EXPECT(the_backend()->probe(&facts), 0);
	EXPECT(facts.works, 1);
	EXPECT(facts.reason[0], '\0');
	CHECK(facts.n_limits > 0 && facts.n_limits <= DUOSHM_LIMITS_MAX);
	for (unsigned i = 0; i < facts.n_limits; i++) {
		CHECK(facts.limits[i].name[0] != '\0' && facts.limits[i].source[0] != '\0');
		CHECK(facts.limits[i].value >= -1);
	}
#if defined __linux__
	CHECK(facts.abilities & DUOSHM_CAN_KERNEL_LIST);
	if (!harness_profile("macos-arm64"))
		EXPECT(!(facts.abilities & DUOSHM_CAN_ATTACH_LATER), !is_sysv());
#endif
}

struct sought {
	const struct object *object;
	unsigned segments, bells;
};

/* A bell of POSIX has the tag of its segment's name, and more of it where there is room. */
static bool is_sought(const struct duoshm__native_item *item, const struct object *object)
{
	const char *text = object->native.text;

	if (item->semaphore && !is_sysv())
		return strstr(item->native.text, text + strlen(text) - 12) != NULL;
	return strcmp(item->native.text, text) == 0;
}

static int look(const struct duoshm__native_item *item, void *arg)
{
	struct sought *sought = arg;
	const struct object *object = sought->object;

	if (!is_sought(item, object))
		return 0;
	if (item->semaphore) {
		sought->bells += (unsigned)item->stat.size;
		return 0;
	}
	sought->segments++;
	CHECK(item->stat.size >= SIZE);
	EXPECT(item->stat.uid, (int64_t)geteuid());
	EXPECT(item->native.segment_id, object->native.segment_id);
	return 0;
}

static int stop(const struct duoshm__native_item *item, void *arg)
{
	(void)item;
	++*(unsigned *)arg;
	return 5;
}

static void the_kernel_lists_what_we_made(void)
{
	struct object object = make_object("list", 3);
	struct sought sought = {.object = &object};
	unsigned stopped = 0;
	bool lists = the_backend()->list(look, &sought, &why) != DUOSHM_ERR_UNSUPPORTED;

	CHECK(lists || why.cause[0] != '\0');
	EXPECT(sought.segments, lists ? 1 : 0);
	EXPECT(sought.bells, lists ? 3 : 0);
	if (lists)
		EXPECT(the_backend()->list(stop, &stopped, &why), 5);
	EXPECT(stopped, lists ? 1 : 0);
	end_object(&object);
}

static int third_time(void *arg)
{
	return ++*(unsigned *)arg < 3 ? EAGAIN : EIDRM;
}

static int never(void *arg)
{
	++*(unsigned *)arg;
	return EAGAIN;
}

static void polling_tries_again_until_something_happens(void)
{
	unsigned calls = 0;
	int64_t begun;

	EXPECT(duoshm__native_poll(third_time, &calls, 1000000000), EIDRM);
	EXPECT(calls, 3);
	calls = 0;
	EXPECT(duoshm__native_poll(never, &calls, 0), EAGAIN);
	EXPECT(calls, 1);
	begun = harness_now();
	EXPECT(duoshm__native_poll(never, &calls, 20000000), EAGAIN);
	CHECK(harness_now() - begun >= 19000000);
	CHECK(calls > 2 && calls < 200); /* it sleeps in between */
}

static void long_words_are_cut_and_limits_dropped(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	char longer[600] = "";

	memset(longer, 'w', sizeof longer - 1);
	EXPECT(duoshm__native_failure(&why, DUOSHM_ERR_SYSTEM, ENOENT, "%s", longer),
		DUOSHM_ERR_SYSTEM);
	EXPECT(strlen(why.call), sizeof why.call - 1);
	EXPECT_PART(why.cause, strerror(ENOENT));
	duoshm__native_cause(&why, "%s", longer);
	duoshm__native_cure(&why, "%s", longer);
	EXPECT(strlen(why.cause), sizeof why.cause - 1);
	EXPECT(strlen(why.cure), sizeof why.cure - 1);
	for (unsigned i = 0; i < 2 * DUOSHM_LIMITS_MAX; i++)
		duoshm__limit(&facts, &(struct duoshm_limit){.value = i});
	EXPECT(facts.n_limits, DUOSHM_LIMITS_MAX);
	EXPECT(facts.limits[DUOSHM_LIMITS_MAX - 1].value, DUOSHM_LIMITS_MAX - 1);
}

/* ---- machines that are full or broken -------------------------------------------------------- */

/*
 * Kernel objects and a /dev/shm of our own, both empty; with that value of kernel.NAME. Else the
 * case is skipped.
 */
static void own_world(const char *shm_options, const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof path, "/proc/sys/kernel/%s", name);
	if (!harness_enter("/dev/shm", shm_options) ||
		(name[0] != '\0' && !harness_put(path, value)))
		HARNESS_SKIP("no namespace, or no such limit, here");
}

static int count(const struct duoshm__native_item *item, void *arg)
{
	(void)item;
	++*(unsigned *)arg;
	return 0;
}

static unsigned objects_in_this_world(void)
{
	unsigned n = 0;

	OK(the_backend()->list(count, &n, &why));
	return n;
}

static struct duoshm__native native_of(const char *name)
{
	struct duoshm__native native = {.segment_id = -1, .bells_id = -1};

	snprintf(native.text, sizeof native.text, "%s", name);
	return native;
}

static int create(const char *name, size_t size)
{
	struct duoshm__native native = native_of(name);
	struct duoshm__map map;

	return the_backend()->create(&native, size, 0600, &map, &why);
}

static int make_bells(const char *name, unsigned n)
{
	struct duoshm__native native = native_of(name);
	struct duoshm__bells *bells;
	int result = the_backend()->bells_create(&native, n, 0600, &bells, &why);

	if (result == 0)
		the_backend()->bells_close(bells);
	return result;
}

static void fill_the_file_system(void)
{
#ifndef HAVE_POSIX_FALLOCATE
	HARNESS_SKIP("no such machine here"); /* nothing is reserved, so nothing is refused */
#endif
	own_world("size=64k", "", "");
	EXPECT(create("/limit.a", 65537), DUOSHM_ERR_NO_SPACE);
	EXPECT_PART(why.call, "(\"/limit.a\", 65537)");
	EXPECT_PART(
		why.cause, "/dev/shm holds 65536 bytes, 0 are in use and 65537 more are asked for");
	/* Far more than one step of the reservation: refused before anything is taken. */
	EXPECT(create("/limit.b", (size_t)1 << 30), DUOSHM_ERR_NO_SPACE);
	EXPECT(objects_in_this_world(), 0);
}

static void fill_the_files(void)
{
	struct duoshm__native native = native_of("/limit.a");

	/* One is the directory itself; making a semaphore takes a name more for a moment. */
	own_world("size=1m,nr_inodes=5", "", "");
	OK(create("/limit.a", 4096));
	CHECK(make_bells("/limit.a", 4) < 0);
	EXPECT(objects_in_this_world(), 1); /* those that could be made are gone again */
	OK(the_backend()->remove(&native, 4, &why));
	EXPECT(objects_in_this_world(), 0);
}

static void open_half_built(void)
{
	/* Killed between shm_open and ftruncate; and a semaphore's file of length 0. */
	static const char *const empty[] = {
		"/dev/shm/limit.half", "/dev/shm/sem.limit.half.0", "/dev/shm/limit.half.0"};
	struct duoshm__native native = native_of("/limit.half");
	struct duoshm__claim claim = {.size = 4096, .n_bells = 1, .generation = 5};
	struct duoshm__bells *bells;
	struct duoshm__map map;

	own_world("size=1m", "", "");
	for (int i = 0; i < 3; i++)
		close(open(empty[i], O_CREAT | O_EXCL | O_RDWR, 0600));
	EXPECT(the_backend()->attach(&native, false, &map, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.cause, "not built yet");
	EXPECT(the_backend()->bells_open(&native, 1, &bells, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(why.cause, "not built yet");
	OK(the_backend()->reap(&native, &claim, &why));
	CHECK(access(empty[0], F_OK) < 0);
	EXPECT(the_backend()->attach(&native, false, &map, &why), DUOSHM_ERR_NOT_FOUND);
}

/* A folder in the place of the first of four bells cannot be unlinked as one. */
static void keep_one_bell(void)
{
	static const char *const places[] = {"/dev/shm/sem.limit.kept.0", "/dev/shm/limit.kept.0"};
	struct duoshm__native native = native_of("/limit.kept");
	const char *folder = NULL;

	own_world("size=1m", "", "");
	OK(create("/limit.kept", 4096));
	OK(make_bells("/limit.kept", 4));
	for (size_t i = 0; i < 2; i++)
		if (unlink(places[i]) == 0)
			folder = places[i];
	OK(folder != NULL && mkdir(folder, 0700) == 0 ? 0 : -1);
	EXPECT(the_backend()->remove(&native, 4, &why), DUOSHM_ERR_SYSTEM);
	EXPECT_PART(why.call, "sem_unlink(\"/limit.kept.0\")");
	EXPECT(objects_in_this_world(), 1); /* the segment, which proves whose the bell is */
	OK(rmdir(folder));
	OK(the_backend()->remove(&native, 4, &why));
	EXPECT(objects_in_this_world(), 0);
}

static void use_up_the_descriptors(void)
{
	if (harness_instrumented())
		HARNESS_SKIP("the instrument has descriptors of its own");
	OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0}));
	EXPECT(create("/none", 4096), DUOSHM_ERR_LIMIT);
	EXPECT_PART(why.cause, "RLIMIT_NOFILE is 0");
	EXPECT_PART(why.cure, "ulimit -n");
}

static void each_in_a_child(void (*const *worlds)(void))
{
	if (is_sysv())
		HARNESS_SKIP("files of POSIX");
	for (; *worlds != NULL; worlds++)
		harness_in_child(*worlds);
}

static void a_lack_of_room_is_told(void)
{
	static void (*const worlds[])(void) = {
		fill_the_file_system, fill_the_files, use_up_the_descriptors, NULL};

	each_in_a_child(worlds);
}

static void remains_are_neither_opened_nor_in_the_way(void)
{
	static void (*const worlds[])(void) = {open_half_built, keep_one_bell, NULL};

	each_in_a_child(worlds);
}

static const struct trial {
	const char *shm_options, *limit, *value; /* the limit is System V's */
	bool works;
	bool full[2];          /* POSIX, System V */
	const char *reason[2]; /* the same */
} trials[] =
	{
		{"size=1m", "", "", true, {false, false}, {"", ""}},
		{"size=1m,ro", "shmmni", "0", false, {false, true},
			{"/dev/shm, is read-only", "shmmni is 0"}},
		{"size=1m,nr_inodes=1", "shmmni", "0", false, {true, true},
			{"shm_open(\"/duoshm.probe.", "shmmni is 0"}},
		{"size=1m,nr_inodes=2", "sem", "60 60 10 0", false, {true, true},
			{"sem_open(", "semget("}},
},
  *trial;

static void probe_in(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;

	own_world(trial->shm_options, is_sysv() ? trial->limit : "", trial->value);
	OK(the_backend()->probe(&facts));
	EXPECT(facts.works, trial->works);
	EXPECT(facts.full, trial->full[is_sysv()]);
	CHECK((facts.abilities != 0) == trial->works && facts.n_limits > 0);
	EXPECT_PART(facts.reason, trial->reason[is_sysv()]);
	EXPECT(objects_in_this_world(), 0);
}

static void a_probe_tells_what_does_not_work_and_leaves_nothing(void)
{
	for (trial = trials; trial < trials + sizeof trials / sizeof *trials; trial++)
		harness_in_child(probe_in);
}

static const struct harness_case cases[] = {
	{"names differ and come to an end", names_differ_and_come_to_an_end},
	{"the longest name has room", the_longest_name_has_room},
	{"a taken name is told whatever is asked for", a_taken_name_is_told_whatever_is_asked_for},
	{"what is absent is not found", what_is_absent_is_not_found},
	{"nonsense names are refused", nonsense_names_are_refused},
	{"stat tells what the kernel knows", stat_tells_what_the_kernel_knows},
	{"the old record removes no new object", the_old_record_removes_no_new_object},
	{"reap takes what is claimed and nothing else",
		reap_takes_what_is_claimed_and_nothing_else},
	{"reap takes bells that outlived their segment",
		reap_takes_bells_that_outlived_their_segment},
	{"bells begin silent and keep a ring", bells_begin_silent_and_keep_a_ring},
	{"the probe says that it works", the_probe_says_that_it_works},
	{"the kernel lists what we made", the_kernel_lists_what_we_made},
	{"polling tries again until something happens",
		polling_tries_again_until_something_happens},
	{"long words are cut and limits dropped", long_words_are_cut_and_limits_dropped},
	{"a lack of room is told", a_lack_of_room_is_told},
	{"remains are neither opened nor in the way", remains_are_neither_opened_nor_in_the_way},
	{"a probe tells what does not work and leaves nothing",
		a_probe_tells_what_does_not_work_and_leaves_nothing},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "backend", cases);
}
