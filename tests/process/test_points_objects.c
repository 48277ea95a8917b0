/* SPDX-License-Identifier: MIT */
/*
 * The life cycle of objects, its processes killed and stopped at each write to shared memory, each
 * native operation and each system call. The next process must find a clean world: no half-built
 * object is ever opened, the name can be made anew, nothing is left. And who is merely stopped is
 * not taken for dead: what he was overtaken by he must notice.
 */
#include "config.h"

#include "core/context.h"
#include "core/header_layout.h"
#include "process/points.h"

#define SIZE   5000
#define BELLS  2
#define HEADER DUOSHM__HEADER_SIZE

static const char *name;
static struct duoshm_segment *living;       /* made by the case before */
static const struct duoshm__header *memory; /* its */
static struct duoshm_segment *overtook;     /* made by the case while the other was stopped */
static int *told;                           /* what the call of the one that was stopped gave */

/* ---- operations ---- */

static int create_flagged(struct duoshm *in, unsigned flags, struct duoshm_segment **out)
{
	struct duoshm_create options = create_with(flags, BELLS);

	options.timeout_ns = 0;
	return duoshm_segment_create(in, name, SIZE, &options, out);
}

/* Whole from the first moment that it can be seen. */
static int create_filled(struct duoshm *in, struct duoshm_segment **out)
{
	int result = create_flagged(in, DUOSHM_UNPUBLISHED, out);

	if (result < 0)
		return result;
	memset(duoshm_segment_data(*out), 0x5a, SIZE);
	OK(duoshm_segment_publish(*out));
	return result;
}

static void create(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	*told = create_filled(own, &made);
}

static void open_and_close(struct duoshm *own)
{
	struct duoshm_segment *opened = NULL;

	*told = duoshm_segment_open(own, name, 0, 0, &opened);
	OK(duoshm_segment_close(opened));
}

static void remove_it(struct duoshm *own)
{
	*told = duoshm_remove(own, name);
}

static void reclaim(struct duoshm *own)
{
	*told = duoshm_reclaim(own, 0, NULL, NULL);
}

static void withdraw(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	OK(create_flagged(own, DUOSHM_UNPUBLISHED, &made));
	OK(duoshm_segment_close(made));
}

/* ---- the world before ---- */

static void make_living(void)
{
	CHECK_FATAL(create_filled(ctx, &living) >= 0);
	memory = duoshm_segment_data(living);
	memory--;
}

static int make_and_die(void *arg)
{
	(void)arg;
	create(new_context());
	return 0;
}

static void leave_orphan(void)
{
	EXPECT(harness_wait(harness_fork(make_and_die, NULL)), 0);
}

/* ---- the next process ---- */

/* Whatever can be opened is whole. */
static void opened_is_whole(struct duoshm *own)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(own, name, DUOSHM_READ_ONLY, 0, &opened);

	if (result < 0) {
		EXPECT(result, DUOSHM_ERR_NOT_FOUND);
		return;
	}
	const unsigned char *data = duoshm_segment_data(opened);
	EXPECT(duoshm_segment_size(opened), SIZE);
	CHECK(data[0] == 0x5a && data[SIZE - 1] == 0x5a);
	end_segment(opened);
}

static void make_anew(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;

	opened_is_whole(own);
	int result = create_filled(own, &made);
	CHECK_FATAL(result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
	EXPECT(duoshm_segment_ring(made, 1), 0);
	EXPECT(duoshm_segment_sleep(made, 1, 0), 0);
	end_segment(made);
	EXPECT(duoshm_remove(own, name), 0);
}

static void reclaim_it(struct duoshm *own)
{
	opened_is_whole(own);
	CHECK(duoshm_reclaim(own, 0, NULL, NULL) <= 1);
}

static void is_reclaimed(void)
{
	EXPECT(duoshm_stat(ctx, name, &(struct duoshm_stat)DUOSHM_STAT_INIT), DUOSHM_ERR_NOT_FOUND);
}

/* A removal is done, or can be done again; never a refusal. */
static void remove_again(struct duoshm *own)
{
	int result = duoshm_remove(own, name);

	CHECK(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
}

static void living_is_removed(void)
{
	EXPECT(((const char *)duoshm_segment_data(living))[SIZE - 1], 0x5a);
	EXPECT(duoshm_segment_removed(living), 1);
	end_segment(living);
	make_anew(ctx);
}

/* Nobody removes what lives and was not touched; a removal that was begun is finished. */
static void create_instead(struct duoshm *own)
{
	struct duoshm_segment *made = NULL;
	bool doomed = duoshm__load32(&memory->removed) != 0;
	int result = create_filled(own, &made);

	CHECK(result == DUOSHM_CREATED || result == DUOSHM_REPLACED ||
		(result == DUOSHM_ERR_EXISTS && !doomed));
	end_segment(made);
}

static void living_or_anew(void)
{
	discard(ctx, "killed");
	end_segment(living);
}

static void living_is_untouched(void)
{
	struct duoshm_stat stat = stat_of(ctx, "killed");

	EXPECT(stat.attached, 1);
	EXPECT(stat.state, DUOSHM_LIVE);
	opened_is_whole(ctx);
	living_or_anew();
}

/* ---- while it stands still ---- */

/* Who is building or removing is waited for, and named; to look needs no lock. */
static void others_wait(pid_t pid)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_segment *made = NULL;
	char text[32];

	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	if (duoshm_stat(ctx, name, &stat) == DUOSHM_ERR_NOT_FOUND)
		return;
	int result = create_flagged(ctx, 0, &made);
	CHECK(result == DUOSHM_ERR_EXISTS || result == DUOSHM_ERR_BUSY);
	snprintf(text, sizeof text, "%ld", (long)pid);
	if (result == DUOSHM_ERR_BUSY && stat.creator_pid == pid)
		EXPECT_PART(duoshm_failure()->cause, text);
}

/* Waits for who is at it, and gets the object that he finishes, or one of its own. */
static int create_or_open(void *arg)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE, BELLS);
	struct duoshm_segment *got = NULL;

	(void)arg;
	options.timeout_ns = LONG_TIME;
	CHECK(duoshm_segment_create(new_context(), name, SIZE, &options, &got) >= 0);
	return 0;
}

static pid_t waiting;

static void another_waits(pid_t pid)
{
	(void)pid;
	waiting = harness_fork(create_or_open, NULL);
	harness_until_asleep(waiting);
}

static void it_was_served(void)
{
	if (waiting > 0)
		EXPECT(harness_wait(waiting), 0);
	waiting = 0;
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 1);
}

/* The name is made anew, if it can be, and then is ours. */
static void overtake(pid_t pid)
{
	int result = create_filled(ctx, &overtook);

	(void)pid;
	CHECK(result == DUOSHM_CREATED || result == DUOSHM_REPLACED ||
		result == DUOSHM_ERR_EXISTS || result == DUOSHM_ERR_BUSY);
}

static void what_overtook_lives(void)
{
	if (overtook == NULL) {
		CHECK(*told >= 0);
		make_anew(ctx);
		return;
	}
	CHECK(*told == DUOSHM_ERR_EXISTS || *told == DUOSHM_ERR_BUSY || *told >= 0);
	EXPECT(duoshm_segment_removed(overtook), 0);
	EXPECT(stat_of(ctx, "killed").state, DUOSHM_LIVE);
	opened_is_whole(ctx);
	end_segment(overtook);
	overtook = NULL;
	discard(ctx, "killed");
}

/* Where the remover has not taken the lock, the object goes, and is being built anew. */
static void remove_and_build(pid_t pid)
{
	struct duoshm__entry_lock lock = {.fd = -1};

	(void)pid;
	/* A removal would wait a second for one that is at it. */
	if (duoshm__entry_lock(&ctx->registry, name, harness_backend(), &lock) != 0)
		return;
	duoshm__entry_unlock(&lock);
	if (duoshm_remove(ctx, name) == 0)
		EXPECT(create_flagged(ctx, DUOSHM_UNPUBLISHED, &overtook), DUOSHM_CREATED);
}

static void building_goes_on(void)
{
	if (overtook == NULL) {
		EXPECT(*told, 0);
	} else {
		CHECK(*told == DUOSHM_ERR_BUSY || *told == DUOSHM_ERR_NOT_FOUND);
		memset(duoshm_segment_data(overtook), 0x5a, SIZE);
		EXPECT(duoshm_segment_publish(overtook), 0);
		what_overtook_lives();
	}
	living_is_removed();
}

static char image[HEADER + SIZE];

static void replace_living(pid_t pid)
{
	(void)pid;
	discard(ctx, "killed");
	end_segment(living);
	make_living();
	memcpy(image, memory, sizeof image);
}

/* Late stores go where the old object was. */
static void new_memory_is_untouched(void)
{
	CHECK(*told == 0 || *told == DUOSHM_ERR_NOT_FOUND);
	if (*told == 0 && duoshm_segment_removed(living) == 0)
		CHECK(memcmp(memory + 1, image + HEADER, SIZE) == 0);
	else
		CHECK(memcmp(memory, image, sizeof image) == 0);
	living_or_anew();
}

/* ---- cases ---- */

static const struct role creator = {
	.work = create, .stopped = others_wait, .recover = make_anew, .proves = {1, 2, 4}};
static const struct role reclaimed = {
	.work = create, .recover = reclaim_it, .after = is_reclaimed, .proves = {1, 2, 4}};
static const struct role replacer = {
	.before = leave_orphan, .work = create, .recover = make_anew, .proves = {1, 4, 5}};
static const struct role withdrawer = {.work = withdraw, .recover = make_anew, .proves = {1, 4}};
static const struct role remover = {.before = make_living,
	.work = remove_it,
	.recover = remove_again,
	.after = living_is_removed,
	.proves = {1, 4}};
static const struct role finished = {.before = make_living,
	.work = remove_it,
	.recover = create_instead,
	.after = living_or_anew,
	.proves = {1, 4}};
static const struct role opener = {.before = make_living,
	.work = open_and_close,
	.after = living_is_untouched,
	.proves = {1, 4}};
static const struct role reclaimer = {.before = leave_orphan,
	.work = reclaim,
	.recover = reclaim_it,
	.after = is_reclaimed,
	.proves = {1, 4, 5}};

static const struct role awaited = {
	.work = create, .stopped = another_waits, .after = it_was_served, .proves = {1, 4}};
static const struct role awaited_replacer = {.before = leave_orphan,
	.work = create,
	.stopped = another_waits,
	.after = it_was_served,
	.proves = {1, 4}};
static const struct role slow_creator = {
	.work = create, .stopped = others_wait, .recover = make_anew, .proves = {6}};
static const struct role slow_replacer = {.before = leave_orphan,
	.work = create,
	.stopped = overtake,
	.after = what_overtook_lives,
	.proves = {6}};
static const struct role slow_reclaimer = {.before = leave_orphan,
	.work = reclaim,
	.stopped = overtake,
	.after = what_overtook_lives,
	.proves = {6}};
static const struct role slow_remover = {.before = make_living,
	.work = remove_it,
	.stopped = remove_and_build,
	.after = building_goes_on,
	.proves = {6}};
static const struct role slow_opener = {.before = make_living,
	.work = open_and_close,
	.stopped = replace_living,
	.after = new_memory_is_untouched,
	.proves = {6}};

static void begin(void)
{
	points_begin();
	name = harness_name("killed");
	told = told != NULL ? told : harness_shared(sizeof *told);
}

static void each_way(
	void (*loop)(const struct role *, enum instrument_way), const struct role *role)
{
	loop(role, INSTRUMENT_WRITES);
	loop(role, INSTRUMENT_CALLS);
}

#define CASE(fn, loop, role)                                                                       \
	static void fn(void)                                                                       \
	{                                                                                          \
		each_way(loop, &role);                                                             \
	}
CASE(creator_dies, points_die, creator)
CASE(reclaimed_dies, points_die, reclaimed)
CASE(replacer_dies, points_die, replacer)
CASE(withdrawer_dies, points_die, withdrawer)
CASE(remover_dies, points_die, remover)
CASE(finished_dies, points_die, finished)
CASE(opener_dies, points_die, opener)
CASE(reclaimer_dies, points_die, reclaimer)
CASE(awaited_dies, points_die_awaited, awaited)
CASE(awaited_replacer_dies, points_die_awaited, awaited_replacer)
CASE(creator_twice, points_die_twice, creator)
CASE(reclaimed_twice, points_die_twice, reclaimed)
CASE(replacer_twice, points_die_twice, replacer)
CASE(remover_twice, points_die_twice, remover)
CASE(finished_twice, points_die_twice, finished)
CASE(reclaimer_twice, points_die_twice, reclaimer)
CASE(creator_stops, points_stop, slow_creator)
CASE(replacer_stops, points_stop, slow_replacer)
CASE(reclaimer_stops, points_stop, slow_reclaimer)
CASE(remover_stops, points_stop, slow_remover)
CASE(opener_stops, points_stop, slow_opener)

static const struct harness_case cases[] = {
	{"a creator killed anywhere leaves nothing in the way", creator_dies},
	{"what a killed creator left is reclaimed", reclaimed_dies},
	{"who replaces the remains of the dead may be killed too", replacer_dies},
	{"who withdraws what it never published may be killed", withdrawer_dies},
	{"a killed removal is done again", remover_dies},
	{"a killed removal is finished by who makes the name anew", finished_dies},
	{"a killed opener leaves the object as it was", opener_dies},
	{"a killed reclaim is done again", reclaimer_dies},
	{"who waits for a creator that is killed makes the object", awaited_dies},
	{"who waits for a replacer that is killed makes the object", awaited_replacer_dies},
	{"who makes anew what a killed creator left may be killed", creator_twice},
	{"who reclaims what a killed creator left may be killed", reclaimed_twice},
	{"who makes anew what a killed replacer left may be killed", replacer_twice},
	{"who repeats a killed removal may be killed", remover_twice},
	{"who finishes a killed removal may be killed", finished_twice},
	{"who repeats a killed reclaim may be killed", reclaimer_twice},
	{"a creator that is stopped is waited for", creator_stops},
	{"who is overtaken while it replaces remains, notices", replacer_stops},
	{"who is overtaken while it reclaims, spares what lives", reclaimer_stops},
	{"who is overtaken while it removes, spares what is built", remover_stops},
	{"an opener that is late writes to no new object", opener_stops},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, points_end);
	return harness_run_each(argc, argv, "points_objects", cases);
}
