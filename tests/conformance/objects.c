/* SPDX-License-Identifier: MIT */
/* C1 names, C2 creating and opening, C3 sizes and memory, C5 closing and removing. */
#include "config.h"

#include "conformance/conformance.h"

#include <sys/mman.h>
#include <sys/resource.h>

/* ---- C1 ------------------------------------------------------------------------------------- */

static int create_named(const char *name)
{
	struct duoshm_segment *segment;
	int result = duoshm_segment_create(ctx, name, 64, NULL, &segment);

	if (result >= 0) {
		duoshm_segment_close(segment);
		duoshm_remove(ctx, name);
	}
	return result;
}

static void c1_characters(void)
{
	static const char *const wrong[] = {"", ".", ".hidden", "Capital", "with/slash", "a b",
		"a\n", "a@b", "gr\xc3\xbc\xc3\x9f", "a*", "\x7f", ":a", "a:", "a:b:c", "eightchr:x",
		"P:x", "pos ix:x", "../x"};
	char name[DUOSHM_NAME_SIZE + 1];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		EXPECT(create_named(wrong[i]), DUOSHM_ERR_NAME);
		CHECK(duoshm_failure()->cause[0] != '\0' && duoshm_failure()->cure[0] != '\0');
		struct duoshm_stat stat = DUOSHM_STAT_INIT;
		EXPECT(duoshm_stat(ctx, wrong[i], &stat), DUOSHM_ERR_NAME);
		EXPECT(duoshm_remove(ctx, wrong[i]), DUOSHM_ERR_NAME);
	}
	EXPECT(create_named(NULL), DUOSHM_ERR_NAME);
	snprintf(name, sizeof(name), "%s.%s", harness_name("az09._-"), "----------");
	EXPECT(create_named(name), DUOSHM_CREATED);
	memset(name + strlen(name), 'x', sizeof(name) - strlen(name));
	name[DUOSHM_NAME_MAX + 1] = '\0';
	EXPECT(create_named(name), DUOSHM_ERR_NAME);
	name[DUOSHM_NAME_MAX] = '\0';
	EXPECT(create_named(name), DUOSHM_CREATED);
}

static void c1_family_prefix(void)
{
	struct duoshm *automatic = context_of("auto", NULL);
	const char *name = harness_full_name(harness_backend(), "family");
	struct duoshm_segment *segment;

	EXPECT_FATAL(duoshm_segment_create(automatic, name, 64, NULL, &segment), DUOSHM_CREATED);
	EXPECT_TEXT(duoshm_segment_backend(segment), harness_backend());
	EXPECT_TEXT(duoshm_segment_name(segment), harness_name("family"));
	end_segment(segment);
	EXPECT(create_named(harness_full_name("none", "x")), DUOSHM_ERR_NO_BACKEND);
	end_context(automatic);
}

static void c1_bare_name(void)
{
	struct duoshm *automatic = context_of("auto", NULL);
	struct duoshm_segment *segment = make_segment(ctx, "bare", 64, 0), *found;

	EXPECT_TEXT(duoshm_backend(ctx), harness_backend());
	EXPECT_TEXT(duoshm_segment_backend(segment), harness_backend());
	found = open_segment(automatic, "bare", 0);
	EXPECT_TEXT(duoshm_segment_backend(found), harness_backend());
	end_segment(found);
	end_segment(segment);
	discard(automatic, "bare");
	end_context(automatic);
}

/* Every other family that is built in. */
static void c1_other_family(void)
{
	struct duoshm_segment *segment = make_segment(ctx, "here", 64, 0), *out;

	for (const char *const *name = duoshm_backends(); *name != NULL; name++) {
		if (strcmp(*name, harness_backend()) == 0)
			continue;
		EXPECT(duoshm_segment_open(ctx, harness_full_name(*name, "here"), 0, 0, &out),
			DUOSHM_ERR_OTHER_BACKEND);
		EXPECT_PART(duoshm_failure()->cause, harness_backend());
		EXPECT(duoshm_remove(ctx, harness_full_name(*name, "here")),
			DUOSHM_ERR_OTHER_BACKEND);
	}
	end_segment(segment);
}

static void c1_one_name_space(void)
{
	struct duoshm_segment *segment = make_segment(ctx, "kinds", 64, 0);
	struct duoshm_semaphore *semaphore;
	struct duoshm_lock *lock;
	struct duoshm_queue *queue;
	struct duoshm_broadcast *broadcast;
	const char *name = harness_name("kinds");

	EXPECT(duoshm_semaphore_open(ctx, name, 0, 0, &semaphore), DUOSHM_ERR_WRONG_KIND);
	EXPECT(duoshm_lock_open(ctx, name, 0, 0, &lock), DUOSHM_ERR_WRONG_KIND);
	EXPECT(duoshm_queue_open(ctx, name, DUOSHM_CONSUMER, 0, &queue), DUOSHM_ERR_WRONG_KIND);
	EXPECT(duoshm_broadcast_open(ctx, name, DUOSHM_READER, 0, 0, &broadcast),
		DUOSHM_ERR_WRONG_KIND);
	EXPECT(duoshm_semaphore_create(ctx, name, 1, NULL, &semaphore), DUOSHM_ERR_EXISTS);
	EXPECT(duoshm_lock_create(ctx, name, NULL, &lock), DUOSHM_ERR_EXISTS);
	end_segment(segment);
	discard(ctx, "kinds");
	EXPECT_FATAL(duoshm_lock_create(ctx, name, NULL, &lock), DUOSHM_CREATED);
	EXPECT(duoshm_segment_open(ctx, name, 0, 0, &segment), DUOSHM_ERR_WRONG_KIND);
	EXPECT(duoshm_segment_open(ctx, name, DUOSHM_ANY_KIND, 0, &segment), 0);
	EXPECT(duoshm_segment_kind(segment), DUOSHM_KIND_LOCK);
	end_segment(segment);
	EXPECT(duoshm_lock_close(lock), 0);
}

static void c1_long_names_stay_apart(void)
{
	struct duoshm_segment *segments[2];
	char names[2][DUOSHM_NAME_SIZE];

	for (int i = 0; i < 2; i++) {
		memset(names[i], 'n', DUOSHM_NAME_MAX);
		memcpy(names[i], harness_name("l"), strlen(harness_name("l")));
		names[i][DUOSHM_NAME_MAX - 1] = (char)('a' + i);
		names[i][DUOSHM_NAME_MAX] = '\0';
		OK(duoshm_segment_create(ctx, names[i], 64, NULL, &segments[i]));
		memset(duoshm_segment_data(segments[i]), 'a' + i, 64);
	}
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	EXPECT(duoshm_stat(ctx, names[0], &stat), 0);
	EXPECT_TEXT(stat.name, names[0]);
	CHECK(stat.native[0] != '\0' && stat.generation != 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(*(char *)duoshm_segment_data(segments[i]), 'a' + i);
		end_segment(segments[i]);
		EXPECT(duoshm_remove(ctx, names[i]), 0);
	}
}

/* ---- C2 ------------------------------------------------------------------------------------- */

static void c2_create_is_exclusive(void)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *first = make_segment(ctx, "once", 64, 0), *second = NULL;

	EXPECT(duoshm_segment_create(ctx, harness_name("once"), 64, NULL, &second),
		DUOSHM_ERR_EXISTS);
	CHECK(second == NULL);
	options.flags = DUOSHM_OPEN_OR_CREATE;
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name("once"), 64, &options, &second),
		DUOSHM_OPENED);
	*(char *)duoshm_segment_data(first) = 'x';
	EXPECT(*(char *)duoshm_segment_data(second), 'x');
	end_segment(first);
	end_segment(second);
	discard(ctx, "once");
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name("once"), 64, &options, &second),
		DUOSHM_CREATED);
	end_segment(second);
}

static void c2_never_half_built(void)
{
	struct duoshm_segment *made = make_segment(ctx, "half", 64, DUOSHM_UNPUBLISHED),
			      *seen = NULL;

	EXPECT(duoshm_segment_open(ctx, harness_name("half"), 0, 0, &seen), DUOSHM_ERR_TIMEOUT);
	EXPECT(duoshm_segment_open(ctx, harness_name("half"), 0, SECOND / 50, &seen),
		DUOSHM_ERR_TIMEOUT);
	CHECK(seen == NULL);
	strcpy(duoshm_segment_data(made), "filled first");
	EXPECT(duoshm_segment_publish(made), 0);
	EXPECT(duoshm_segment_publish(made), DUOSHM_ERR_INVALID);
	seen = open_segment(ctx, "half", 0);
	EXPECT_TEXT(duoshm_segment_data(seen), "filled first");
	end_segment(seen);
	end_segment(made);
}

static int open_later(void *argument)
{
	struct helper *helper = argument;
	ctx = new_context();
	struct duoshm_segment *segment;

	harness_gate_open(&helper->ready);
	EXPECT(duoshm_segment_open(ctx, harness_name(helper->stem), 0, LONG_TIME, &segment), 0);
	EXPECT(duoshm_segment_size(segment), 64);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c2_open_waits(void)
{
	struct duoshm_segment *segment;
	struct helper helper;

	EXPECT(duoshm_segment_open(ctx, harness_name("later"), 0, 0, &segment),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_segment_open(ctx, harness_name("later"), 0, SECOND / 50, &segment),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_segment_open(ctx, harness_name("later"), 0, -1, &segment),
		DUOSHM_ERR_INVALID);
	start_helper(&helper, open_later, "later", 0);
	harness_until_asleep(helper.pid);
	segment = make_segment(ctx, "later", 64, 0);
	finish_helper(&helper);
	end_segment(segment);
}

/* ---- C3 ------------------------------------------------------------------------------------- */

static void c3_exact_size_and_zero(void)
{
	static const size_t sizes[] = {1, 63, 64, 4095, 4096, 4097, 50001};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct duoshm_segment *made = make_segment(ctx, "size", sizes[i], 0);
		struct duoshm_segment *seen = open_segment(ctx, "size", 0);
		const char *data = duoshm_segment_data(seen);
		size_t zeros = 0;
		while (zeros < sizes[i] && data[zeros] == 0)
			zeros++;
		EXPECT(zeros, sizes[i]);
		EXPECT(duoshm_segment_size(made), sizes[i]);
		EXPECT(duoshm_segment_size(seen), sizes[i]);
		EXPECT(stat_of(ctx, "size").size, sizes[i]);
		EXPECT((uintptr_t)data % 64, 0);
		memset(duoshm_segment_data(made), 0xff, sizes[i]);
		end_segment(made);
		end_segment(seen);
		discard(ctx, "size");
	}
}

static void c3_impossible_sizes(void)
{
	struct duoshm_segment *segment = NULL;

	EXPECT(duoshm_segment_create(ctx, harness_name("zero"), 0, NULL, &segment),
		DUOSHM_ERR_INVALID);
	int result = duoshm_segment_create(ctx, harness_name("huge"), SIZE_MAX - 4, NULL, &segment);
	CHECK(result == DUOSHM_ERR_INVALID || result == DUOSHM_ERR_NO_SPACE ||
		result == DUOSHM_ERR_LIMIT);
	CHECK(segment == NULL);
	EXPECT(harness_entries(duoshm_directory(ctx)), 0);
}

static void c3_reserved(void)
{
	struct duoshm_facts facts = DUOSHM_FACTS_INIT;
	struct duoshm_segment *segment = make_segment(ctx, "reserved", 64, 0);

	EXPECT(duoshm_probe(harness_backend(), &facts), 0);
	EXPECT(facts.works, 1);
	EXPECT(stat_of(ctx, "reserved").reserved, (facts.abilities & DUOSHM_CAN_RESERVE) != 0);
	end_segment(segment);
}

static long faults_of_touching(struct duoshm_segment *segment)
{
	struct rusage before, after;
	size_t size = duoshm_segment_size(segment);
	volatile char *data = duoshm_segment_data(segment);

	getrusage(RUSAGE_SELF, &before);
	for (size_t at = 0; at < size; at += 4096)
		data[at] = 1;
	getrusage(RUSAGE_SELF, &after);
	return after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt;
}

static void c3_populate(void)
{
	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for pages enough to tell");
	struct duoshm_segment *made = make_segment(ctx, "pages", 1 << 20, DUOSHM_POPULATE), *seen;

	if (!harness_instrumented())
		CHECK(faults_of_touching(made) < 64);
	seen = open_segment(ctx, "pages", DUOSHM_POPULATE);
	if (!harness_instrumented())
		CHECK(faults_of_touching(seen) < 64);
	end_segment(seen);
	end_segment(made);
}

/* ---- C5 ------------------------------------------------------------------------------------- */

/* Its page is one of the process's, so far as the kernel knows. */
static bool is_mapped(const void *data)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	return msync((void *)((uintptr_t)data & ~(page - 1)), 1, MS_ASYNC) == 0;
}

static void c5_closing_never_removes(void)
{
	struct duoshm_segment *segment = make_segment(ctx, "stays", 64, 0);
	char *data = duoshm_segment_data(segment);

	strcpy(data, "still here");
	CHECK(is_mapped(data));
	end_segment(segment);
	CHECK(!is_mapped(data));
	segment = open_segment(ctx, "stays", 0);
	EXPECT_TEXT(duoshm_segment_data(segment), "still here");
	EXPECT(duoshm_free(ctx), DUOSHM_ERR_BUSY);
	end_segment(segment);
	discard(ctx, "stays");
	EXPECT(duoshm_segment_close(NULL), 0);
}

static void c5_removing_takes_the_name_away(void)
{
	struct duoshm_segment *old = make_segment(ctx, "gone", 64, 0), *new = NULL;
	struct duoshm_stat stat = DUOSHM_STAT_INIT;

	EXPECT(duoshm_segment_removed(old), 0);
	strcpy(duoshm_segment_data(old), "kept until detach");
	discard(ctx, "gone");
	EXPECT(duoshm_segment_open(ctx, harness_name("gone"), 0, 0, &new), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_remove(ctx, harness_name("gone")), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_stat(ctx, harness_name("gone"), &stat), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_segment_removed(old), 1);
	new = make_segment(ctx, "gone", 128, 0);
	EXPECT(*(char *)duoshm_segment_data(new), 0);
	EXPECT_TEXT(duoshm_segment_data(old), "kept until detach");
	EXPECT(duoshm_segment_removed(new), 0);
	end_segment(old);
	end_segment(new);
}

static void c5_owned_or_persistent(void)
{
	struct helper owner, keeper;
	struct duoshm_segment *attached, *again = NULL;

	start_helper(&owner, create_and_hang, "owned", 0);
	start_helper(&keeper, create_and_hang, "kept", DUOSHM_PERSISTENT);
	attached = open_segment(ctx, "owned", 0);
	EXPECT(duoshm_segment_owner_alive(attached), 1);
	EXPECT(stat_of(ctx, "owned").state, DUOSHM_LIVE);
	kill_helper(&owner);
	kill_helper(&keeper);
	EXPECT(duoshm_segment_owner_alive(attached), 0);
	EXPECT(stat_of(ctx, "owned").state, DUOSHM_ORPHAN);
	EXPECT(stat_of(ctx, "kept").state, DUOSHM_LIVE);
	EXPECT(stat_of(ctx, "kept").persistent, 1);
	EXPECT(duoshm_segment_create(ctx, harness_name("kept"), 64, NULL, &again),
		DUOSHM_ERR_EXISTS);
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name("owned"), 64, NULL, &again),
		DUOSHM_REPLACED);
	EXPECT(duoshm_segment_removed(attached), 1);
	end_segment(again);
	end_segment(attached);
}

/* What becomes of the registry entry while its object is in use. */
enum damage { NOTHING, EMPTIED, CUT_SHORT, SCRIBBLED, DELETED, ANOTHERS, DAMAGES };

static void damage_entry(const struct duoshm_segment *segment, enum damage damage)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s@%s", duoshm_directory(ctx), duoshm_segment_name(segment),
		duoshm_segment_backend(segment));
	if (damage == EMPTIED || damage == CUT_SHORT)
		OK(truncate(path, damage == EMPTIED ? 0 : 100));
	if (damage == DELETED || damage == ANOTHERS)
		OK(unlink(path));
	if (damage != SCRIBBLED)
		return;
	fd = open(path, O_WRONLY);
	EXPECT(pwrite(fd, "?", 1, 50), 1);
	close(fd);
}

static int count_native(const struct duoshm_stat *object, void *native)
{
	return strncmp(object->native, native, strlen(native)) == 0;
}

static void remove_damaged(enum damage damage)
{
	struct duoshm_create options = create_with(DUOSHM_PERSISTENT, 2);
	struct duoshm_segment *made, *other, *newer = NULL;

	OK(duoshm_segment_create(ctx, harness_name("held"), 64, &options, &made));
	other = open_segment(ctx, "held", 0);
	struct duoshm_stat stat = stat_of(ctx, "held");
	damage_entry(made, damage);
	if (damage == ANOTHERS)
		newer = make_segment(ctx, "held", 128, 0);
	EXPECT(duoshm_segment_remove(made), 0);
	EXPECT(duoshm_segment_sleep(other, 1, LONG_TIME), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_segment_removed(other), 1);
	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, count_native, stat.native), 0);
	EXPECT(harness_entries(duoshm_directory(ctx)), newer != NULL);
	EXPECT(duoshm_segment_remove(made), 0);
	end_segment(made);
	end_segment(other);
	if (newer) {
		EXPECT(duoshm_segment_removed(newer), 0);
		EXPECT(duoshm_segment_remove(newer), 0);
		end_segment(newer);
	}
}

static void c5_removing_by_handle(void)
{
	struct duoshm_segment *half, *seen;

	for (enum damage damage = NOTHING; damage < DAMAGES; damage++)
		remove_damaged(damage);
	half = make_segment(ctx, "half", 64, DUOSHM_UNPUBLISHED);
	EXPECT(duoshm_segment_remove(half), 0);
	end_segment(half);
	half = make_segment(ctx, "half", 64, 0);
	seen = open_segment(ctx, "half", DUOSHM_READ_ONLY);
	EXPECT(duoshm_segment_remove(seen), DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_segment_removed(half), 0);
	end_segment(seen);
	EXPECT(duoshm_segment_remove(half), 0);
	end_segment(half);
}

const struct harness_case object_cases[] = {
	{"C1 a name is 1 to 63 of certain characters", c1_characters},
	{"C1 a name may say its family", c1_family_prefix},
	{"C1 a bare name means the context's family, or where it lives", c1_bare_name},
	{"C1 who asks the wrong family is told the right one", c1_other_family},
	{"C1 one name space for all kinds", c1_one_name_space},
	{"C1 two names never meet in one object", c1_long_names_stay_apart},
	{"C2 create is exclusive unless open-or-create", c2_create_is_exclusive},
	{"C2 an opener never sees a half-built object; publish ends it", c2_never_half_built},
	{"C2 open waits for what comes into being", c2_open_waits},
	{"C3 the size is exactly what was asked for, new memory is zero", c3_exact_size_and_zero},
	{"C3 an impossible size is an error and leaves nothing", c3_impossible_sizes},
	{"C3 stat says whether memory is reserved", c3_reserved},
	{"C3 populate touches every page", c3_populate},
	{"C5 closing detaches and never removes", c5_closing_never_removes},
	{"C5 removing takes the name away at once, memory stays until detach",
		c5_removing_takes_the_name_away},
	{"C5 who holds an object removes that one, whatever became of its entry",
		c5_removing_by_handle},
	{"C5 an owned object is its creator's, a persistent one stays", c5_owned_or_persistent},
	{NULL, NULL},
};
