/* SPDX-License-Identifier: MIT */
/*
 * The life cycle of objects, its processes killed and stopped at each write to shared memory, each
 * native operation and each system call. The next process must find a clean world: no half-built
 * object is ever opened, the name can be made anew, nothing is left. And who is merely stopped is
 * not taken for dead: what he was overtaken by he must notice.
 */
#include "config.h"

#include "core/object.h"
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

static int create_flagged(unsigned flags, struct duoshm_segment **out)
{
	struct duoshm_create options = create_with(flags, BELLS);

	options.timeout_ns = 0;
	return duoshm_segment_create(ctx, name, SIZE, &options, out);
}

static void fill(struct duoshm_segment *segment)
{
	memset(duoshm_segment_data(segment), 0x5a, SIZE);
	OK(duoshm_segment_publish(segment));
}

/* Whole from the first moment that it can be seen. */
static int create_filled(struct duoshm_segment **out)
{
	int result = create_flagged(DUOSHM_UNPUBLISHED, out);

	if (result >= 0)
		fill(*out);
	return result;
}

static void create(void)
{
	struct duoshm_segment *made = NULL;

	*told = create_filled(&made);
}

static void open_and_close(void)
{
	struct duoshm_segment *opened = NULL;

	*told = duoshm_segment_open(ctx, name, 0, 0, &opened);
	OK(duoshm_segment_close(opened));
}

static void remove_it(void)
{
	*told = duoshm_remove(ctx, name);
}

static void reclaim(void)
{
	*told = duoshm_reclaim(ctx, 0, NULL, NULL);
}

static void withdraw(void)
{
	struct duoshm_segment *made = NULL;

	OK(create_flagged(DUOSHM_UNPUBLISHED, &made));
	OK(duoshm_segment_close(made));
}

static void try_family(void)
{
	struct duoshm_failure why;

	*told = duoshm__object_try(ctx, duoshm__backend_find(harness_backend()), &why);
	EXPECT(*told, 0);
}

/* ---- the world before ---- */

static void make_living(void)
{
	CHECK_FATAL(create_filled(&living) >= 0);
	memory = duoshm_segment_data(living);
	memory--;
}

static void leave_orphan(void)
{
	EXPECT(harness_wait(points_start(NULL, create, INSTRUMENT_COUNT, 0)), 0);
}

/* ---- the next process ---- */

/* Whatever can be opened is whole. */
static void opened_is_whole(void)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 0, &opened);

	if (result < 0) {
		EXPECT(result, DUOSHM_ERR_NOT_FOUND);
		return;
	}
	const unsigned char *data = duoshm_segment_data(opened);
	EXPECT(duoshm_segment_size(opened), SIZE);
	CHECK(data[0] == 0x5a && data[SIZE - 1] == 0x5a);
	end_segment(opened);
}

static void make_anew(void)
{
	struct duoshm_segment *made = NULL;

	opened_is_whole();
	int result = create_filled(&made);
	CHECK_FATAL(result == DUOSHM_CREATED || result == DUOSHM_REPLACED);
	EXPECT(duoshm_segment_ring(made, 1), 0);
	EXPECT(duoshm_segment_sleep(made, 1, 0), 0);
	end_segment(made);
	EXPECT(duoshm_remove(ctx, name), 0);
}

static void reclaim_it(void)
{
	opened_is_whole();
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) <= 1);
}

/* A removal is done, or can be done again; never a refusal. */
static void remove_again(void)
{
	int result = duoshm_remove(ctx, name);

	CHECK(result == 0 || result == DUOSHM_ERR_NOT_FOUND);
}

static void living_is_removed(void)
{
	EXPECT(((const char *)duoshm_segment_data(living))[SIZE - 1], 0x5a);
	EXPECT(duoshm_segment_removed(living), 1);
	end_segment(living);
	make_anew();
}

/* Nobody removes what lives and was not touched; a removal that was begun is finished. */
static void create_instead(void)
{
	struct duoshm_segment *made = NULL;
	bool doomed = duoshm__load32(&memory->removed) != 0;
	int result = create_filled(&made);

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
	opened_is_whole();
	living_or_anew();
}

/* ---- while it stands still ---- */

/* Who is building or removing is waited for, and named; to look needs no lock. */
static void others_wait(void)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct duoshm_segment *made = NULL;
	char text[32];

	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	if (duoshm_stat(ctx, name, &stat) == DUOSHM_ERR_NOT_FOUND)
		return;
	int result = create_flagged(0, &made);
	CHECK(result == DUOSHM_ERR_EXISTS || result == DUOSHM_ERR_BUSY);
	snprintf(text, sizeof text, "%ld", (long)tried);
	if (result == DUOSHM_ERR_BUSY && stat.creator_pid == tried)
		EXPECT_PART(duoshm_failure()->cause, text);
}

/* Waits for who is at it, and gets the object that he finishes, or one of its own. */
static void create_or_open(void)
{
	struct duoshm_create options = create_with(DUOSHM_OPEN_OR_CREATE, BELLS);
	struct duoshm_segment *got = NULL;

	options.timeout_ns = LONG_TIME;
	CHECK(duoshm_segment_create(ctx, name, SIZE, &options, &got) >= 0);
}

static pid_t waiting;

static void another_waits(void)
{
	waiting = points_start(NULL, create_or_open, INSTRUMENT_COUNT, 0);
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
static void overtake(void)
{
	int result = create_filled(&overtook);

	CHECK(result == DUOSHM_CREATED || result == DUOSHM_REPLACED ||
		result == DUOSHM_ERR_EXISTS || result == DUOSHM_ERR_BUSY);
}

static void what_overtook_lives(void)
{
	if (overtook == NULL) {
		CHECK(*told >= 0);
		make_anew();
		return;
	}
	CHECK(*told == DUOSHM_ERR_EXISTS || *told == DUOSHM_ERR_BUSY || *told >= 0);
	EXPECT(duoshm_segment_removed(overtook), 0);
	EXPECT(stat_of(ctx, "killed").state, DUOSHM_LIVE);
	opened_is_whole();
	end_segment(overtook);
	overtook = NULL;
	discard(ctx, "killed");
}

/* Where the remover has not taken the lock, the object goes, and is being built anew. */
static void remove_and_build(void)
{
	struct duoshm__entry_lock lock = {.fd = -1};

	/* A removal would wait a second for one that is at it. */
	if (duoshm__entry_lock(&ctx->registry, name, harness_backend(), &lock) != 0)
		return;
	duoshm__entry_unlock(&lock);
	if (duoshm_remove(ctx, name) == 0)
		EXPECT(create_flagged(DUOSHM_UNPUBLISHED, &overtook), DUOSHM_CREATED);
}

static void building_goes_on(void)
{
	if (overtook == NULL) {
		EXPECT(*told, 0);
	} else {
		CHECK(*told == DUOSHM_ERR_BUSY || *told == DUOSHM_ERR_NOT_FOUND);
		fill(overtook);
		what_overtook_lives();
	}
	living_is_removed();
}

static char image[HEADER + SIZE];

static void replace_living(void)
{
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

static const struct role mortal[] = {
	{"creator", .work = create, .recover = make_anew, .proves = {2}},
	{"creator, reclaimed", .work = create, .recover = reclaim_it, .proves = {2}},
	{"replacer of remains", .before = leave_orphan, .work = create, .recover = make_anew,
		.proves = {5}},
	{"withdrawer of what was never published", .work = withdraw, .recover = make_anew},
	{"remover, done again", .before = make_living, .work = remove_it, .recover = remove_again,
		.after = living_is_removed},
	{"remover, finished by who makes the name anew", .before = make_living, .work = remove_it,
		.recover = create_instead, .after = living_or_anew},
	{"opener", .before = make_living, .work = open_and_close, .after = living_is_untouched},
	{"reclaimer", .before = leave_orphan, .work = reclaim, .recover = reclaim_it,
		.proves = {5}},
	{"who tries whether the family works", .work = try_family, .recover = reclaim_it},
	{"creator that another waits for", .work = create, .stopped = another_waits,
		.after = it_was_served},
	{"replacer that another waits for", .before = leave_orphan, .work = create,
		.stopped = another_waits, .after = it_was_served},
	{.title = NULL},
};
static const struct role slow[] = {
	{"creator that is waited for", .work = create, .stopped = others_wait,
		.recover = make_anew},
	{"replacer that is overtaken", .before = leave_orphan, .work = create, .stopped = overtake,
		.after = what_overtook_lives},
	{"reclaimer that spares what lives", .before = leave_orphan, .work = reclaim,
		.stopped = overtake, .after = what_overtook_lives},
	{"remover that spares what is built", .before = make_living, .work = remove_it,
		.stopped = remove_and_build, .after = building_goes_on},
	{"opener that writes to no new object", .before = make_living, .work = open_and_close,
		.stopped = replace_living, .after = new_memory_is_untouched},
	{.title = NULL},
};

static void each_way(
	void (*loop)(const struct role *, enum instrument_way), const struct role *roles)
{
	loop(roles, INSTRUMENT_WRITES);
	loop(roles, INSTRUMENT_CALLS);
}

static void die(void)
{
	each_way(points_die, mortal);
}

static void two_die(void)
{
	each_way(points_die_twice, mortal);
}

static void stand_still(void)
{
	each_way(points_stop, slow);
}

static const struct harness_case cases[] = {
	{"who dies anywhere leaves a clean world to the next", die},
	{"who comes after it may die anywhere, too", two_die},
	{"who stands still is not dead, and notices what overtook it", stand_still},
	{NULL, NULL},
};

static void begin(void)
{
	points_begin();
	name = harness_name("killed");
	told = told != NULL ? told : harness_shared(sizeof *told);
}

int main(int argc, char **argv)
{
	harness_around(begin, points_end);
	return harness_run_each(argc, argv, "points_objects", cases);
}
