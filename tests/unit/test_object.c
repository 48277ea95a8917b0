/* SPDX-License-Identifier: MIT */
/*
 * The one life cycle of objects, from the inside: what hostile memory gets, what a damaged entry or
 * a stranger's object gets, which requests are refused. What users see of it is stated by the
 * conformance suite; what a native call that fails leaves, by process/test_faults; what a removal
 * from outside does, by process/outside.
 */
#include "config.h"

#include "core/object.h"
#include "harness/fixture.h"

#include <arpa/inet.h>

#define SIZE 3000

static struct duoshm *ctx;
static struct duoshm_segment *segment;

static const char *name(void)
{
	return harness_name("object");
}

static int create(const struct duoshm_create *options, struct duoshm_segment **out)
{
	return duoshm_segment_create(ctx, name(), SIZE, options, out);
}

static void make(unsigned flags, unsigned bells)
{
	struct duoshm_create options = create_with(flags, bells);

	OK(create(&options, &segment));
}

static void begin(void)
{
	ctx = new_context();
}

static void end(void)
{
	end_context(ctx);
}

static void close_and_remove(struct duoshm_segment *made)
{
	end_segment(made);
	discard(ctx, "object");
}

static int try_open(unsigned flags)
{
	struct duoshm_segment *opened = NULL;
	int result = duoshm_segment_open(ctx, name(), flags, 0, &opened);

	if (result == 0)
		end_segment(opened);
	return result;
}

/* ---- hostile memory ---- */

static void damage_is_found(void)
{
	static const struct {
		size_t offset;
		uint8_t flip;
		int expected;
	} damages[] = {
		{offsetof(struct duoshm__header, ready), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, layout), 2, DUOSHM_ERR_INCOMPATIBLE},
		{offsetof(struct duoshm__header, byte_order), 5, DUOSHM_ERR_INCOMPATIBLE},
		{offsetof(struct duoshm__header, generation), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, size), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, size) + 7, 0x80, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, kind), 3, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, bells), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, name), 1, DUOSHM_ERR_CORRUPT},
		{offsetof(struct duoshm__header, name) + 63, 1, 0},
		{offsetof(struct duoshm__header, removed), 1, DUOSHM_ERR_NOT_FOUND},
	};

	make(0, 0);
	uint8_t *header = (uint8_t *)segment->header;
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		header[damages[i].offset] ^= damages[i].flip;
		EXPECT(try_open(0), damages[i].expected);
		EXPECT(try_open(DUOSHM_READ_ONLY), damages[i].expected);
		header[damages[i].offset] ^= damages[i].flip;
	}
	EXPECT(try_open(0), 0);
	/* By a machine of the other byte order. */
	for (int i = 0; i < 8; i++)
		header[i] = (uint8_t)(DUOSHM__MAGIC >> (htonl(1) == 1 ? 8 * i : 56 - 8 * i));
	EXPECT(try_open(0), DUOSHM_ERR_INCOMPATIBLE);
	harness_proves(22, sizeof damages / sizeof *damages, "wrong headers");
	close_and_remove(segment);
}

static void judged(int state, const char *why, int created)
{
	struct duoshm_segment *again = NULL;
	struct duoshm_stat stat = stat_of(ctx, "object");

	EXPECT(stat.state, state);
	EXPECT_PART(stat.why, why);
	EXPECT(duoshm_reclaim(ctx, DUOSHM_DRY_RUN, NULL, NULL), state == DUOSHM_ORPHAN);
	EXPECT(create(NULL, &again), created);
	end_segment(again);
}

/* Every attacher can write that the object is removed: nobody destroys it because of that. */
static void the_removed_word_is_no_proof(void)
{
	make(0, 0);
	duoshm__store32(&segment->header->removed, 1);
	EXPECT(try_open(0), DUOSHM_ERR_NOT_FOUND);
	judged(DUOSHM_LIVE, "is alive", DUOSHM_ERR_EXISTS);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	EXPECT(duoshm__object_gone(segment), 0);
	close_and_remove(segment);
}

static void a_begun_removal_is_ended(void)
{
	make(DUOSHM_PERSISTENT, 0);
	OK(duoshm__object_lock(segment));
	segment->entry.removing = true;
	OK(duoshm__entry_write(&segment->creation, &segment->entry));
	duoshm__entry_unlock(&segment->creation);
	EXPECT(try_open(0), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(duoshm_failure()->cause, "being removed");
	judged(DUOSHM_ORPHAN, "stopped half-way", DUOSHM_REPLACED);
	EXPECT(duoshm_segment_removed(segment), 1);
	close_and_remove(segment);
}

/* Opening and listing agree about an entry that nothing was written into yet. */
static void an_empty_entry_is_somebodys_or_nobodys(void)
{
	struct duoshm__entry_lock lock;

	OK(duoshm__entry_create(&ctx->registry, name(), harness_backend(), 0600, &lock));
	EXPECT(try_open(0), DUOSHM_ERR_TIMEOUT);
	EXPECT(stat_of(ctx, "object").state, DUOSHM_UNKNOWN);
	duoshm__entry_unlock(&lock);
	EXPECT(try_open(0), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(duoshm_failure()->cause, "never finished, and nobody is building it");
	judged(DUOSHM_ORPHAN, "never finished, and nobody is building it", DUOSHM_REPLACED);
	discard(ctx, "object");
}

/* ---- removal from outside ---- */

static void remove_natively(void)
{
	struct duoshm_failure why;

	OK(segment->backend->remove(&segment->entry.native, segment->entry.bells, &why));
}

/* What a damaged entry stood for nobody knows; it goes alone, and its presence file with it. */
static void damaged_entry_is_removed(void)
{
	struct duoshm__entry_lock *lock;
	char presence[600];

	make(0, 0);
	lock = &segment->creation;
	snprintf(presence, sizeof presence, "%s/.r.%s@%s", duoshm_directory(ctx), name(),
		harness_backend());
	OK(access(presence, F_OK));
	OK(truncate(lock->path, 100));
	EXPECT(try_open(0), DUOSHM_ERR_CORRUPT);
	EXPECT(create(NULL, &(struct duoshm_segment *){NULL}), DUOSHM_ERR_CORRUPT);
	discard(ctx, "object");
	EXPECT(access(presence, F_OK), -1);
	EXPECT(duoshm_segment_removed(segment), 0);
	OK(duoshm_segment_remove(segment));
	end_segment(segment);
}

/*
 * A stranger under our native name is not opened; where the kernel's ids tell it from ours, it does
 * not block the name.
 */
static void stranger_under_our_native_name(void)
{
	struct duoshm_segment *again = NULL;
	struct duoshm__native_stat there;
	struct duoshm__map map;
	struct duoshm_failure why;

	make(0, 0);
	const struct duoshm__backend *backend = segment->backend;
	struct duoshm__native stranger = segment->entry.native;
	bool told = stranger.segment_id >= 0;
	remove_natively();
	stranger.segment_id = -1;
	OK(backend->create(&stranger, 9000, 0600, &map, &why));
	EXPECT(try_open(0), told ? DUOSHM_ERR_NOT_FOUND : DUOSHM_ERR_CORRUPT);
	EXPECT(create(NULL, &again), told ? (int)DUOSHM_REPLACED : (int)DUOSHM_ERR_EXISTS);
	EXPECT(backend->stat(&stranger, &there, &why), 0);
	CHECK(there.size >= 9000); /* some systems round it up */
	end_segment(again);
	close_and_remove(segment);
	EXPECT(backend->stat(&stranger, &there, &why), told ? 0 : DUOSHM_ERR_NOT_FOUND);
	backend->detach(&map, &why);
	backend->remove(&stranger, 0, &why);
}

/* ---- requests ---- */

static void unpublished_is_withdrawn_by_close(void)
{
	make(DUOSHM_UNPUBLISHED, 2);
	EXPECT(try_open(0), DUOSHM_ERR_TIMEOUT);
	end_segment(segment);
	EXPECT(try_open(0), DUOSHM_ERR_NOT_FOUND);
}

static void sized_structs_grow(void)
{
	struct {
		struct duoshm_create known;
		long newer;
	} longer = {.known = DUOSHM_CREATE_INIT};
	struct duoshm_create shorter = {.size = offsetof(struct duoshm_create, bells),
		.mode = 0600,
		.bells = 77,
		.kind = 99};
	struct duoshm_stat stat = {.struct_size = 8};
	struct duoshm_segment *made = NULL;

	make(0, 0);
	longer.known.size = sizeof longer;
	longer.newer = 1;
	EXPECT(create(&longer.known, &made), DUOSHM_ERR_INVALID);
	longer.newer = 0;
	EXPECT(create(&longer.known, &made), DUOSHM_ERR_EXISTS);
	EXPECT(create(&shorter, &made), DUOSHM_ERR_EXISTS);
	shorter.size = 0;
	EXPECT(create(&shorter, &made), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_stat(ctx, name(), &stat), DUOSHM_ERR_INVALID);
	close_and_remove(segment);
}

static void requests_have_ends(void)
{
	static const struct {
		size_t size;
		unsigned bells, flags;
		int kind, expected;
	} requests[] = {
		{0, 0, 0, DUOSHM_KIND_SEGMENT, DUOSHM_ERR_INVALID},
		{SIZE_MAX, 0, 0, DUOSHM_KIND_SEGMENT, DUOSHM_ERR_LIMIT},
		{SIZE_MAX - 511, 0, 0, DUOSHM_KIND_SEGMENT, DUOSHM_ERR_LIMIT},
		{1, DUOSHM_BELLS_MAX + 1, 0, DUOSHM_KIND_SEGMENT, DUOSHM_ERR_INVALID},
		{1, 0, 0, DUOSHM_KIND_LOCK, DUOSHM_ERR_INVALID},
		{1, 0, 0x8000, DUOSHM_KIND_SEGMENT, DUOSHM_ERR_INVALID},
	};
	struct duoshm_segment *made = NULL;

	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct duoshm_create options = create_with(requests[i].flags, requests[i].bells);
		options.kind = requests[i].kind;
		EXPECT_FATAL(duoshm_segment_create(ctx, name(), requests[i].size, &options, &made),
			requests[i].expected);
	}
	CHECK(made == NULL);
	EXPECT(harness_entries(duoshm_directory(ctx)), 0);
}

/* The entry of another user that tells of our object, ready or half-built; its removal by root. */
static void remove_thief(bool ready)
{
	struct duoshm__entry_lock lock;
	struct duoshm__entry entry = segment->entry;

	snprintf(entry.name, sizeof entry.name, "%s", harness_name("thief"));
	entry.ready = ready;
	OK(duoshm__entry_create(&ctx->registry, entry.name, harness_backend(), 0600, &lock));
	OK(duoshm__entry_write(&lock, &entry));
	OK(fchown(lock.fd, 65534, 65534));
	duoshm__entry_unlock(&lock);
	discard(ctx, "thief");
}

/* Another user's segment, under the name that ours had, until it is told to go. */
static int squat(void *helper)
{
	const struct duoshm__backend *backend = segment->backend;
	struct duoshm__native native = segment->entry.native;
	struct duoshm__map map;

	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	EXPECT(backend->create(&native, 4096, 0600, &map, &(struct duoshm_failure){0}), 0);
	int result = helper_stays(helper);
	EXPECT(backend->remove(&native, 0, &(struct duoshm_failure){0}), 0);
	return result;
}

static void an_entry_is_lent_no_rights(void)
{
	struct duoshm__bells *bells;
	struct duoshm_failure why;
	struct helper helper;

	if (geteuid() != 0)
		HARNESS_SKIP("only root has rights to lend");
	make(0, 1);
	remove_thief(true);
	remove_thief(false);
	EXPECT(duoshm__object_gone(segment), 0);
	OK(segment->backend->remove(&segment->entry.native, 0, &why));
	remove_thief(true);
	remove_thief(false);
	segment->entry.native.segment_id = -1;
	start_helper(&helper, squat, "thief", 0);
	remove_thief(true);
	remove_thief(false);
	finish_helper(&helper);
	OK(segment->backend->bells_open(&segment->entry.native, 1, &bells, &why));
	segment->backend->bells_close(bells);
	OK(duoshm_segment_remove(segment));
	end_segment(segment);
}

/* It opens, but no lifeline can be made in it. */
static void a_directory_without_room_is_named(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *other;

	if (access("/proc/self", F_OK) != 0 || geteuid() != 0)
		HARNESS_SKIP("needs a /proc, and root, whom it denies nothing");
	options.directory = "/proc";
	EXPECT(duoshm_new(&options, &other), DUOSHM_ERR_REGISTRY);
	EXPECT_PART(duoshm_failure()->cause, "registry directory /proc: ");
	EXPECT_TEXT(duoshm_failure()->cure, "choose another with --dir or DUOSHM_DIR");
}

/* In a build of one family: the other one's object is told. */
static void a_family_that_is_not_built_is_told(void)
{
	struct duoshm__entry_lock lock;
	const char *missing = NULL;
	struct duoshm *any_family = context_of("auto", NULL);
	struct duoshm_segment *none;

	for (unsigned i = 0; duoshm__family_at(i); i++)
		if (!duoshm__backend_find(duoshm__family_at(i)))
			missing = duoshm__family_at(i);
	if (missing) {
		OK(duoshm__entry_create(&ctx->registry, name(), missing, 0600, &lock));
		EXPECT(try_open(0), DUOSHM_ERR_OTHER_BACKEND);
		EXPECT_PART(duoshm_failure()->cause, missing);
		EXPECT(duoshm_segment_open(any_family, name(), 0, 0, &none),
			DUOSHM_ERR_OTHER_BACKEND);
		OK(duoshm__entry_remove(&lock));
		duoshm__entry_unlock(&lock);
	}
	end_context(any_family);
	if (!missing)
		HARNESS_SKIP("all families are built");
}

static const struct duoshm__backend *preferred;
static int refusal;

static int refuse(struct duoshm__native *native, size_t size, unsigned mode,
	struct duoshm__map *out, struct duoshm_failure *why)
{
	if (refusal == 0)
		return preferred->create(native, size, mode, out, why);
	return duoshm__native_failure(why, refusal, 0, "create(%s)", native->text);
}

/* The family of what auto makes, or what it fails with. */
static int auto_makes(struct duoshm *any_family, const char *family)
{
	struct duoshm_segment *made;
	int result = duoshm_segment_create(any_family, name(), SIZE, NULL, &made);

	if (result == DUOSHM_CREATED) {
		EXPECT_TEXT(duoshm_segment_backend(made), family);
		OK(duoshm_segment_remove(made));
		end_segment(made);
	}
	return result;
}

/* What is full works, and what the registry refuses says nothing of a family. */
static void auto_leaves_a_family_that_does_not_work(void)
{
	const char *const *families = duoshm_backends();
	const char *directory = harness_path("other");
	struct duoshm__backend fussy = *duoshm__backend_find(families[0]);

	if (families[1] == NULL || strcmp(families[0], harness_backend()) != 0)
		HARNESS_SKIP("for the preferred family of two");
	preferred = duoshm__backend_find(families[0]);
	fussy.create = refuse;
	duoshm__backend_replace(&fussy);
	CHECK(mkdir(directory, 0700) == 0);
	struct duoshm *any_family = context_of("auto", directory);
	refusal = DUOSHM_ERR_LIMIT;
	EXPECT(auto_makes(any_family, ""), DUOSHM_ERR_LIMIT);
	refusal = DUOSHM_ERR_UNAVAILABLE;
	EXPECT(auto_makes(any_family, families[1]), DUOSHM_CREATED);
	refusal = 0;
	EXPECT(auto_makes(any_family, families[0]), DUOSHM_CREATED);
	duoshm__backend_replace(&fussy);
	harness_remove_tree(directory);
	EXPECT(auto_makes(any_family, ""), DUOSHM_ERR_NOT_FOUND);
	EXPECT_PART(duoshm_failure()->call, directory);
	duoshm__backend_replace(NULL);
	end_context(any_family);
}

/* A name that only an orphan holds in the preferred family is the living one's in the other. */
static void auto_finds_who_lives(void)
{
	const char *const *families = duoshm_backends();
	struct duoshm_segment *found = NULL;
	struct helper orphan;

	if (families[1] == NULL || strcmp(families[0], harness_backend()) != 0)
		HARNESS_SKIP("for the preferred family of two");
	end_context(ctx);
	ctx = context_of(families[1], NULL);
	struct duoshm *any_family = context_of("auto", NULL);
	start_helper(&orphan, create_and_hang, "object", 0);
	kill_helper(&orphan);
	EXPECT(try_open(0), DUOSHM_ERR_OTHER_BACKEND);
	EXPECT_PART(duoshm_failure()->cause, families[0]);
	found = open_segment(any_family, "object", 0);
	EXPECT_TEXT(duoshm_segment_backend(found), families[0]);
	end_segment(found);
	OK(create(NULL, &segment));
	found = open_segment(any_family, "object", 0);
	EXPECT_TEXT(duoshm_segment_backend(found), families[1]);
	end_segment(found);
	EXPECT(duoshm_segment_create(any_family, name(), SIZE, NULL, &found), DUOSHM_ERR_EXISTS);
	close_and_remove(segment);
	EXPECT_FATAL(
		duoshm_segment_create(any_family, name(), SIZE, NULL, &found), DUOSHM_REPLACED);
	EXPECT_TEXT(duoshm_segment_backend(found), families[0]);
	end_segment(found);
	discard(any_family, "object");
	end_context(any_family);
}

static void adopts_by_native_name(void)
{
	struct duoshm_segment *raw = NULL;
	char text[160];

	make(0, 0);
	strcpy(duoshm_segment_data(segment), "mine");
	snprintf(text, sizeof text, "%s:%s", harness_backend(), segment->entry.native.text);
	OK(duoshm_segment_adopt(ctx, text, DUOSHM_READ_ONLY, &raw));
	CHECK(duoshm_segment_size(raw) >= SIZE + DUOSHM__HEADER_SIZE);
	EXPECT_TEXT((const char *)duoshm_segment_data(raw) + DUOSHM__HEADER_SIZE, "mine");
	EXPECT_TEXT(duoshm_segment_name(raw), segment->entry.native.text);
	EXPECT(duoshm_segment_removed(raw), 0);
	EXPECT(duoshm_segment_owner_alive(raw), DUOSHM_ERR_UNSUPPORTED);
	EXPECT(duoshm_segment_ring(raw, 0), DUOSHM_ERR_INVALID);
	EXPECT(duoshm_segment_remove(raw), DUOSHM_ERR_UNSUPPORTED);
	close_and_remove(segment);
	EXPECT(duoshm_segment_removed(raw), 1);
	end_segment(raw);
	EXPECT(duoshm_segment_adopt(ctx, text, 0, &raw), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_segment_adopt(ctx, "nosuch:/x", 0, &raw), DUOSHM_ERR_NO_BACKEND);
	EXPECT(duoshm_segment_adopt(ctx, "", 0, &raw), DUOSHM_ERR_NAME);
	EXPECT(duoshm_segment_adopt(ctx, NULL, 0, &raw), DUOSHM_ERR_NAME);
}

static const struct harness_case cases[] = {
	{"each damage of the header is found", damage_is_found},
	{"the word that says removed is no proof", the_removed_word_is_no_proof},
	{"a removal that was begun is ended", a_begun_removal_is_ended},
	{"an empty entry is somebody's, or nobody's", an_empty_entry_is_somebodys_or_nobodys},
	{"a damaged entry is removed alone", damaged_entry_is_removed},
	{"a stranger under our native name is not ours", stranger_under_our_native_name},
	{"closing what was not published withdraws it", unpublished_is_withdrawn_by_close},
	{"sized structs grow", sized_structs_grow},
	{"requests have ends", requests_have_ends},
	{"an entry is not lent the rights of who removes it", an_entry_is_lent_no_rights},
	{"a registry directory without room is named", a_directory_without_room_is_named},
	{"a family that is not built is told", a_family_that_is_not_built_is_told},
	{"auto leaves a family that does not work", auto_leaves_a_family_that_does_not_work},
	{"auto finds who lives", auto_finds_who_lives},
	{"adopts by native name", adopts_by_native_name},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run_each(argc, argv, "object", cases);
}
