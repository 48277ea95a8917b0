/* SPDX-License-Identifier: MIT */
/*
 * The backend contract, line by line, on the record of each built family: names, segments, bells,
 * removal, what a dead creator left. Core is not used but to find the record. What the kernel's
 * limits do is test_backend_limits.
 */
#include "config.h"

#include "core/context.h"
#include "harness/harness.h"
#include "unit/backend_object.h"

#include <sys/time.h>

#define SIZE 8192

static struct duoshm_failure why;
static struct object shared; /* with the children */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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

static void a_missing_entry_is_told(void)
{
	struct duoshm__naming naming = naming_of("missing");
	struct duoshm__native native;

	if (!is_sysv())
		HARNESS_SKIP("the name is not made from the entry");
	naming.entry_path = harness_path("no-such-file");
	EXPECT(the_backend()->derive(&naming, 0, &native, &why), DUOSHM_ERR_NOT_FOUND);
	EXPECT(why.system_error, ENOENT);
	EXPECT_PART(why.call, "ftok");
}

/* ---- segments -------------------------------------------------------------------------------- */

static void a_taken_name_is_told_whatever_is_asked_for(void)
{
	struct object object = make_object("taken", SIZE, 1);
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
	end_object(&object);
}

static void half_a_set_of_bells_is_taken_back(void)
{
	struct object object = make_object("half", SIZE, 1);
	struct duoshm__bells *two = NULL;

	EXPECT(the_backend()->bells_create(&object.native, 2, 0600, &two, &why), DUOSHM_ERR_EXISTS);
	CHECK(two == NULL);
	EXPECT(the_backend()->ring(object.bells, 0, &why), 0);
	EXPECT(the_backend()->wait(object.bells, 0, 0, &why), 0);
	end_object(&object);
}

static void what_is_absent_is_not_found(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct object object = make_object("absent", SIZE, 1);
	struct duoshm__native native = object.native;
	struct duoshm__native_stat status;
	struct duoshm__bells *bells;
	struct duoshm__map map;

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

static void an_id_alone_is_a_name_too(void)
{
	struct object object = make_object("byid", SIZE, 0);
	struct duoshm__native native = object.native;
	struct duoshm__map map;

	native.segment_id = -1;
	OK(the_backend()->attach(&native, true, &map, &why));
	the_backend()->detach(&map, &why);
	/* A name with something behind it is another name. */
	snprintf(native.text + strlen(native.text), 8, "junk");
	EXPECT(the_backend()->attach(&native, true, &map, &why), DUOSHM_ERR_NOT_FOUND);
	if (is_sysv()) {
		snprintf(native.text, sizeof native.text, "id:%lld",
			(long long)object.native.segment_id);
		OK(the_backend()->attach(&native, true, &map, &why));
		CHECK(map.length >= SIZE);
		the_backend()->detach(&map, &why);
	}
	end_object(&object);
}

static void stat_tells_what_the_kernel_knows(void)
{
	struct object object = make_object_mode("stat", SIZE, 1, 0640);
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

static void bells_are_for_who_may_read_and_write(void)
{
	static const unsigned modes[][2] = {
		{0600, 0600}, {0644, 0600}, {0660, 0660}, {0666, 0666}, {0620, 0600}, {0444, 0}};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		EXPECT(duoshm__bell_mode(modes[i][0]), modes[i][1]);
}

struct found {
	const struct object *object;
	unsigned n, wrong;
};

static int look_at_bell(const struct duoshm__native_item *item, void *arg)
{
	struct found *found = arg;
	const struct duoshm__native *native = &found->object->native;
	bool ours = is_sysv() ? item->native.bells_id == native->bells_id
			      : strncmp(item->native.text, native->text, strlen(native->text)) == 0;

	if (!ours || !item->semaphore)
		return 0;
	found->n++;
	found->wrong += item->stat.mode != 0600;
	return 0;
}

/* A class that may only read the segment, or only write it, gets nothing of the bells. */
static void bells_have_no_mode_of_their_own(void)
{
	static const unsigned modes[] = {0600, 0640, 0620, 0644, 0622};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		struct object object = make_object_mode("bellmode", SIZE, 2, modes[i]);
		struct found found = {.object = &object};

		if (the_backend()->list(look_at_bell, &found, &why) == 0) {
			EXPECT(found.n, is_sysv() ? 1 : 2);
			EXPECT(found.wrong, 0);
		}
		end_object(&object);
	}
}

/* ---- removal --------------------------------------------------------------------------------- */

static void removed_memory_stays_until_detached(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct object object = make_object("stays", SIZE, 1);
	struct duoshm__native again = object.native;
	struct duoshm__bells *bells;
	struct duoshm__map map, seen;

	EXPECT(backend->remove(&object.native, 1, &why), 0);
	EXPECT(backend->attach(&object.native, true, &seen, &why), DUOSHM_ERR_NOT_FOUND);
	memset(object.map.address, 3, SIZE);
	/* The name is free at once, and what it names now is another memory. */
	again.segment_id = again.bells_id = -1;
	OK(backend->create(&again, SIZE, 0600, &map, &why));
	OK(backend->bells_create(&again, 1, 0600, &bells, &why));
	EXPECT(*(char *)map.address, 0);
	EXPECT(((char *)object.map.address)[SIZE - 1], 3);
	/*
	 * Removing by the old record leaves the new one alone, where the record tells them apart.
	 */
	if (is_sysv()) {
		EXPECT(backend->remove(&object.native, 1, &why), 0);
		EXPECT(backend->attach(&again, true, &seen, &why), 0);
		backend->detach(&seen, &why);
		EXPECT(backend->ring(bells, 0, &why), 0);
		EXPECT(backend->stat(&object.native, &(struct duoshm__native_stat){0}, &why),
			DUOSHM_ERR_NOT_FOUND);
	}
	EXPECT(backend->remove(&again, 1, &why), 0);
	backend->bells_close(bells);
	backend->detach(&map, &why);
	end_object(&object);
}

static void be_somebody_else(void)
{
	struct duoshm__map map;
	struct duoshm__bells *bells;

	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	EXPECT(the_backend()->attach(&shared.native, true, &map, &why), DUOSHM_ERR_PERMISSION);
	CHECK(why.system_error == EACCES || why.system_error == EPERM);
	EXPECT(the_backend()->remove(&shared.native, 1, &why), DUOSHM_ERR_PERMISSION);
	/* A set may be found by everybody; using it is what takes permission. */
	if (the_backend()->bells_open(&shared.native, 1, &bells, &why) == 0) {
		EXPECT(the_backend()->ring(bells, 0, &why), DUOSHM_ERR_PERMISSION);
		the_backend()->bells_close(bells);
	} else {
		EXPECT(why.code, DUOSHM_ERR_PERMISSION);
	}
}

static void strangers_are_kept_out(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can become somebody else");
	struct object object = make_object("stranger", SIZE, 1);
	shared = object;
	harness_in_child(be_somebody_else);
	EXPECT(the_backend()->wait(object.bells, 0, 0, &why), DUOSHM_ERR_TIMEOUT);
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
		struct object object = make_object("reap", SIZE, 2);
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
	struct object object = make_object("lonely", SIZE, 2);
	struct duoshm__native segment_only = object.native;
	struct duoshm__claim claim = claim_of(&object);

	EXPECT(the_backend()->remove(&segment_only, 0, &why), 0);
	CHECK(bells_are_there(&object));
	EXPECT(the_backend()->reap(&object.native, &claim, &why), 0);
	CHECK(!bells_are_there(&object));
	end_object(&object);
}

/* ---- bells ----------------------------------------------------------------------------------- */

static void bells_begin_silent_and_keep_a_ring(void)
{
	const struct duoshm__backend *backend = the_backend();
	struct object object = make_object("bells", SIZE, 4);
	struct duoshm__bells *others;

	for (unsigned i = 0; i < 4; i++)
		EXPECT(backend->wait(object.bells, i, 0, &why), DUOSHM_ERR_TIMEOUT);
	OK(backend->bells_open(&object.native, 4, &others, &why));
	EXPECT(backend->ring(others, 2, &why), 0);
	EXPECT(backend->wait(object.bells, 1, 0, &why), DUOSHM_ERR_TIMEOUT);
	EXPECT(backend->wait(object.bells, 3, 0, &why), DUOSHM_ERR_TIMEOUT);
	EXPECT(backend->wait(object.bells, 2, 1000000000, &why), 0);
	EXPECT(backend->wait(object.bells, 2, 0, &why), DUOSHM_ERR_TIMEOUT);
	/* A bell that does not exist is an error, not somebody else's. */
	EXPECT(backend->ring(others, 4, &why), DUOSHM_ERR_INVALID);
	EXPECT(backend->wait(others, 4, 0, &why), DUOSHM_ERR_INVALID);
	backend->bells_close(others);
	end_object(&object);
}

static void a_wait_lasts_its_time(void)
{
	struct object object = make_object("time", SIZE, 1);
	int64_t begun = now_ms();

	EXPECT(the_backend()->wait(object.bells, 0, 30000000, &why), DUOSHM_ERR_TIMEOUT);
	CHECK(now_ms() - begun >= 29);
	end_object(&object);
}

static void a_full_bell_is_rung_enough(void)
{
	struct object object = make_object("full", SIZE, 1);
	unsigned failed = 0;

	for (unsigned i = 0; i < 32767 + 10; i++)
		failed += the_backend()->ring(object.bells, 0, &why) != 0;
	EXPECT(failed, 0);
	EXPECT(the_backend()->wait(object.bells, 0, 0, &why), 0);
	end_object(&object);
}

static int wait_long(struct duoshm__bells *bells, unsigned bell)
{
	int result, tries = 0;

	do
		result = the_backend()->wait(bells, bell, 1000000000, &why);
	while (result == DUOSHM_ERR_TIMEOUT && ++tries < 20);
	return result;
}

static int sleep_and_answer(void *arg)
{
	const struct object *object = arg;
	struct duoshm__bells *bells;

	OK(the_backend()->bells_open(&object->native, 2, &bells, &why));
	OK(wait_long(bells, 0));
	OK(the_backend()->ring(bells, 1, &why));
	the_backend()->bells_close(bells);
	return 0;
}

static void a_ring_wakes_another_process(void)
{
	struct object object = make_object("wake", SIZE, 2);
	pid_t pid = harness_fork(sleep_and_answer, &object);

	harness_until_asleep(pid);
	EXPECT(the_backend()->ring(object.bells, 0, &why), 0);
	EXPECT(wait_long(object.bells, 1), 0);
	EXPECT(harness_wait(pid), 0);
	end_object(&object);
}

static void do_nothing(int number)
{
	(void)number;
}

static void sleep_until_signal(void)
{
	struct sigaction action = {.sa_handler = do_nothing};
	struct itimerval soon = {.it_interval = {0, 20000}, .it_value = {0, 20000}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	EXPECT(the_backend()->wait(shared.bells, 0, 1000000000, &why), DUOSHM_ERR_INTERRUPTED);
	EXPECT(why.system_error, EINTR);
}

static void a_signal_ends_a_wait(void)
{
	struct object object = make_object("signal", SIZE, 1);

	shared = object;
	harness_in_child(sleep_until_signal);
	end_object(&object);
}

/* POSIX wakes nobody: there it ends with its time. */
static int sleep_until_removed(void *arg)
{
	const struct object *object = arg;
	int result = is_sysv() ? wait_long(object->bells, 0)
			       : the_backend()->wait(object->bells, 0, 200000000, &why);

	EXPECT(result, is_sysv() ? DUOSHM_ERR_REMOVED : DUOSHM_ERR_TIMEOUT);
	EXPECT(the_backend()->ring(object->bells, 0, &why), is_sysv() ? DUOSHM_ERR_REMOVED : 0);
	return 0;
}

static void removal_wakes_where_the_kernel_tells(void)
{
	struct object object = make_object("gone", SIZE, 1);
	pid_t pid = harness_fork(sleep_until_removed, &object);

	harness_until_asleep(pid);
	EXPECT(the_backend()->remove(&object.native, 1, &why), 0);
	EXPECT(harness_wait(pid), 0);
	end_object(&object);
}

static void close_in_child(void)
{

	the_backend()->bells_close(shared.bells);
	OK(the_backend()->detach(&shared.map, &why));
}

static void a_child_that_closes_takes_nothing_away(void)
{
	struct object object = make_object("child", SIZE, 1);

	EXPECT(the_backend()->ring(object.bells, 0, &why), 0);
	shared = object;
	harness_in_child(close_in_child);
	EXPECT(the_backend()->wait(object.bells, 0, 0, &why), 0);
	CHECK(segment_is_there(&object));
	*(volatile char *)object.map.address = 1;
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
	struct object object = make_object("list", SIZE, 3);
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
	begun = now_ms();
	EXPECT(duoshm__native_poll(never, &calls, 20000000), EAGAIN);
	CHECK(now_ms() - begun >= 19);
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

static const struct harness_case cases[] = {
	{"names differ and come to an end", names_differ_and_come_to_an_end},
	{"the longest name has room", the_longest_name_has_room},
	{"a missing entry is told", a_missing_entry_is_told},
	{"a taken name is told whatever is asked for", a_taken_name_is_told_whatever_is_asked_for},
	{"half a set of bells is taken back", half_a_set_of_bells_is_taken_back},
	{"what is absent is not found", what_is_absent_is_not_found},
	{"nonsense names are refused", nonsense_names_are_refused},
	{"an id alone is a name too", an_id_alone_is_a_name_too},
	{"stat tells what the kernel knows", stat_tells_what_the_kernel_knows},
	{"bells are for who may read and write", bells_are_for_who_may_read_and_write},
	{"bells have no mode of their own", bells_have_no_mode_of_their_own},
	{"removed memory stays until detached", removed_memory_stays_until_detached},
	{"strangers are kept out", strangers_are_kept_out},
	{"reap takes what is claimed and nothing else",
		reap_takes_what_is_claimed_and_nothing_else},
	{"reap takes bells that outlived their segment",
		reap_takes_bells_that_outlived_their_segment},
	{"bells begin silent and keep a ring", bells_begin_silent_and_keep_a_ring},
	{"a wait lasts its time", a_wait_lasts_its_time},
	{"a full bell is rung enough", a_full_bell_is_rung_enough},
	{"a ring wakes another process", a_ring_wakes_another_process},
	{"a signal ends a wait", a_signal_ends_a_wait},
	{"removal wakes where the kernel tells", removal_wakes_where_the_kernel_tells},
	{"a child that closes takes nothing away", a_child_that_closes_takes_nothing_away},
	{"the probe says that it works", the_probe_says_that_it_works},
	{"the kernel lists what we made", the_kernel_lists_what_we_made},
	{"polling tries again until something happens",
		polling_tries_again_until_something_happens},
	{"long words are cut and limits dropped", long_words_are_cut_and_limits_dropped},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "backend", cases);
}
