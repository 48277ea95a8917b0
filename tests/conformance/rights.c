/* SPDX-License-Identifier: MIT */
/* C4: who may do what. */
#include "config.h"

#include "conformance/conformance.h"

#include <dirent.h>
#include <grp.h>
#include <setjmp.h>
#include <sys/mman.h>

enum { NOBODY = 65534 };

static struct duoshm_segment *make_with_mode(const char *stem, unsigned mode)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *segment = NULL;

	options.mode = mode;
	options.bells = 1;
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name(stem), 64, &options, &segment),
		DUOSHM_CREATED);
	return segment;
}

/* Mode of the one entry in the registry. */
static unsigned entry_mode(const char *directory)
{
	DIR *open_directory = opendir(directory);
	unsigned mode = 0;

	CHECK_FATAL(open_directory != NULL);
	for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) {
		char path[600];
		struct stat info;
		snprintf(path, sizeof(path), "%s/%.250s", directory, entry->d_name);
		if (entry->d_name[0] != '.' && stat(path, &info) == 0)
			mode = info.st_mode & 0777;
	}
	closedir(open_directory);
	return mode;
}

enum { SEGMENT, SEMAPHORE, LOCK, QUEUE, BROADCAST, KINDS };

/* Of that kind; its handle is closed by end_kind. */
static void *make_kind(int kind, const char *name, const struct duoshm_create *how)
{
	void *made = NULL;

	switch (kind) {
	case SEGMENT: OK(duoshm_segment_create(ctx, name, 64, how, (void *)&made)); break;
	case SEMAPHORE: OK(duoshm_semaphore_create(ctx, name, 1, how, (void *)&made)); break;
	case LOCK: OK(duoshm_lock_create(ctx, name, how, (void *)&made)); break;
	case QUEUE:
		OK(duoshm_queue_create(ctx, name, 256, DUOSHM_PRODUCER, how, (void *)&made));
		break;
	default: OK(duoshm_broadcast_create(ctx, name, 256, how, (void *)&made));
	}
	return made;
}

static void end_kind(int kind, void *made)
{
	switch (kind) {
	case SEGMENT: OK(duoshm_segment_close(made)); break;
	case SEMAPHORE: OK(duoshm_semaphore_close(made)); break;
	case LOCK: OK(duoshm_lock_close(made)); break;
	case QUEUE: OK(duoshm_queue_close(made)); break;
	default: OK(duoshm_broadcast_close(made));
	}
}

/* The kernel's word on it: to a registry that does not know it, it is foreign. */
struct modes {
	const char *native;
	unsigned segments, bells, memory, bell;
};
static int note_mode(const struct duoshm_stat *object, void *argument)
{
	struct modes *modes = argument;

	if (strncmp(object->native, modes->native, strlen(modes->native)) != 0)
		return 0;
	*(object->kind == DUOSHM_KIND_SEMAPHORE ? &modes->bell : &modes->memory) = object->mode;
	++*(object->kind == DUOSHM_KIND_SEMAPHORE ? &modes->bells : &modes->segments);
	return 0;
}

static struct modes modes_in_kernel(struct duoshm *elsewhere, const char *native)
{
	struct modes modes = {.native = native};

	EXPECT(duoshm_list(elsewhere, DUOSHM_SYSTEM, note_mode, &modes), 0);
	return modes;
}

/* Who may read and write may use the bells, and nobody else. */
static unsigned bell_mode(unsigned mode)
{
	unsigned both = mode & mode >> 1 & 0222;

	return both | both << 1;
}

static void mode_is(struct duoshm *elsewhere, int kind, unsigned asked, unsigned mask)
{
	struct duoshm_create options = create_with(0, kind == SEGMENT);
	unsigned given = asked & ~mask & 0666;

	options.mode = asked;
	mode_t old = umask((mode_t)mask);
	void *made = make_kind(kind, harness_name("mode"), &options);
	umask(old);
	struct duoshm_stat stat = stat_of(ctx, "mode");
	struct modes kernel = modes_in_kernel(elsewhere, stat.native);
	EXPECT(stat.mode, given);
	/* who may write the object may not write what tells whether it is remains */
	EXPECT(entry_mode(duoshm_directory(ctx)), given & ~022u);
	if (kernel.segments > 0)
		EXPECT(kernel.memory, given);
	if (kernel.bells > 0)
		EXPECT(kernel.bell, bell_mode(given));
	end_kind(kind, made);
	discard(ctx, "mode");
}

static void c4_modes(void)
{
	static const unsigned masks[] = {0, 022, 027, 077, 0177, 0777};
	static const unsigned modes[] = {0600, 0666, 0640, 0644, 0660, 0622, 0604, 0606};
	struct duoshm *elsewhere = context_of(harness_backend(), harness_path("elsewhere"));
	struct duoshm_segment *segment = make_segment(ctx, "mode", 64, 0);
	long tried = 0;

	EXPECT(stat_of(ctx, "mode").mode, 0600);
	end_segment(segment);
	discard(ctx, "mode");
	for (int kind = 0; kind < KINDS; kind++)
		for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
			for (size_t j = 0; j < sizeof masks / sizeof *masks; j++) {
				/* an owner who may not write his entry cannot even publish it */
				if ((modes[i] & ~masks[j] & 0600) == 0600) {
					mode_is(elsewhere, kind, modes[i], masks[j]);
					tried++;
				}
			}
	end_context(elsewhere);
	harness_proves(15, tried, "modes");
}

enum { PAGES = 5, PAGE = 4096 };
static sigjmp_buf after_fault;

static void on_fault(int signal)
{
	siglongjmp(after_fault, signal);
}

/* The kernel says no to each write, and to making it writable. */
static int write_read_only(void *argument)
{
	struct duoshm_segment *segment;
	volatile long faults = 0;

	(void)argument;
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	OK(duoshm_segment_open(new_context(), harness_name("read"), DUOSHM_READ_ONLY, 0, &segment));
	char *bytes = duoshm_segment_data(segment);
	EXPECT(*bytes, 'r');
	for (volatile size_t at = 0; at < PAGES * PAGE; at += PAGE / 4) {
		if (sigsetjmp(after_fault, 1) == 0)
			((volatile char *)bytes)[at] = 'w';
		else
			faults++;
	}
	EXPECT(faults, 4 * PAGES);
	bytes -= (uintptr_t)bytes % PAGE;
	CHECK(mprotect(bytes, PAGE, PROT_READ | PROT_WRITE) != 0);
	return 0;
}

static void c4_read_only_is_protected(void)
{
	struct duoshm_create options = create_with(0, 1);
	struct duoshm_segment *segment = NULL, *reader;

	OK(duoshm_segment_create(ctx, harness_name("read"), PAGES * PAGE, &options, &segment));
	char *bytes = duoshm_segment_data(segment);
	memset(bytes, 'r', PAGES * PAGE);
	if (harness_instrumented())
		harness_skip("instruments catch faults themselves");
	else if (harness_wait(harness_fork(write_read_only, NULL)) == 0)
		harness_proves(17, 4 * PAGES + 1, "writes");
	else
		CU_FAIL("a write was let through");
	for (size_t at = 0; at < PAGES * PAGE; at++)
		CHECK(bytes[at] == 'r');
	reader = open_segment(ctx, "read", DUOSHM_READ_ONLY);
	EXPECT(duoshm_segment_ring(reader, 0), DUOSHM_ERR_READ_ONLY);
	EXPECT(duoshm_segment_sleep(reader, 0, 0), DUOSHM_ERR_READ_ONLY);
	end_segment(reader);
	end_segment(segment);
}

/* A reader of another user, who can write nothing of ours. Opens "open" and hangs. */
static int read_as_nobody(void *argument)
{
	struct duoshm_stat stat = DUOSHM_STAT_INIT;
	struct helper *helper = argument;
	struct duoshm_segment *segment;

	CHECK(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	ctx = new_context();
	for (size_t i = 0; i < 2; i++) {
		const char *name = harness_name(i == 0 ? "open" : "closed");
		EXPECT(duoshm_segment_open(ctx, name, 0, 0, &segment), DUOSHM_ERR_PERMISSION);
		EXPECT(duoshm_remove(ctx, name), DUOSHM_ERR_PERMISSION);
		EXPECT(duoshm_segment_create(ctx, name, 64, NULL, &segment), DUOSHM_ERR_PERMISSION);
		EXPECT(duoshm_semaphore_open(ctx, name, 0, 0, (void *)&segment),
			DUOSHM_ERR_PERMISSION);
	}
	EXPECT(duoshm_segment_open(ctx, harness_name("closed"), DUOSHM_READ_ONLY, 0, &segment),
		DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_stat(ctx, harness_name("closed"), &stat), DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), DUOSHM_ERR_PERMISSION);
	/* Nor by the kernel's own name. */
	for (unsigned flags = 0; flags <= DUOSHM_READ_ONLY; flags += DUOSHM_READ_ONLY)
		EXPECT(duoshm_segment_adopt(ctx, helper->more, flags, &segment),
			DUOSHM_ERR_PERMISSION);
	EXPECT(duoshm_segment_open(ctx, harness_name("open"), DUOSHM_READ_ONLY, 0, &segment), 0);
	EXPECT(*(const char *)duoshm_segment_data(segment), 'o');
	harness_gate_open(&helper->ready);
	EXPECT(harness_gate_pass(&helper->go), true);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c4_other_users(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can become another user");
	mode_t old = umask(022);
	struct duoshm_segment *open = make_with_mode("open", 0644);
	struct duoshm_segment *closed = make_with_mode("closed", 0600);
	struct duoshm_stat stat = stat_of(ctx, "closed");
	char native[120];
	struct helper helper = {.more = native};

	umask(old);
	snprintf(native, sizeof(native), "%s:%s", stat.backend, stat.native);
	*(char *)duoshm_segment_data(open) = 'o';
	EXPECT(chmod(harness_scratch_dir(), 0755), 0);
	EXPECT(chmod(duoshm_directory(ctx), 0755), 0);
	EXPECT(stat_of(ctx, "open").readers, 0);
	start_helper(&helper, read_as_nobody, "open", 0);
	EXPECT(stat_of(ctx, "open").readers, 1);
	finish_helper(&helper);
	EXPECT(stat_of(ctx, "open").readers, 0);
	harness_proves(15, 13, "refusals");
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(open);
	end_segment(closed);
}

static int create_as_nobody(void *argument)
{
	struct helper *helper = argument;
	struct duoshm_create create = create_with(DUOSHM_OPEN_OR_CREATE, 0);
	struct duoshm_segment *segment;

	CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	create.timeout_ns = LONG_TIME;
	ctx = new_context();
	harness_gate_open(&helper->ready);
	EXPECT_FATAL(duoshm_segment_create(ctx, harness_name("ours"), 64, &create, &segment),
		DUOSHM_OPENED);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

static void c2_other_users(void)
{
	if (geteuid() != 0)
		HARNESS_SKIP("only root can become another user");
	struct duoshm_create create = create_with(DUOSHM_UNPUBLISHED, 0);
	struct duoshm_segment *segment;
	struct helper helper;
	mode_t old = umask(0);

	create.mode = 0666;
	EXPECT(chmod(harness_scratch_dir(), 0755), 0);
	EXPECT(chmod(duoshm_directory(ctx), 01777), 0);
	OK(duoshm_segment_create(ctx, harness_name("ours"), 64, &create, &segment));
	umask(old);
	start_helper(&helper, create_as_nobody, "ours", 0);
	harness_until_asleep(helper.pid);
	EXPECT(duoshm_segment_publish(segment), 0);
	finish_helper(&helper);
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(segment);
}

static int read_without_rights(void *argument)
{
	struct duoshm_segment *segment;
	ctx = new_context();

	(void)argument;
	EXPECT(duoshm_segment_open(ctx, harness_name("bare"), DUOSHM_READ_ONLY, 0, &segment), 0);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

/* A program that starts when the registry cannot be written any more; as root it can. */
static void c4_read_only_registry(void)
{
	struct duoshm_segment *segment = make_with_mode("bare", 0600);

	EXPECT(chmod(duoshm_directory(ctx), 0500), 0);
	EXPECT(harness_wait(harness_fork(read_without_rights, NULL)), 0);
	EXPECT(chmod(duoshm_directory(ctx), 0700), 0);
	end_segment(segment);
}

static int bad_directory(const char *directory)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *bad = NULL;

	options.backend = harness_backend();
	options.directory = directory;
	int result = duoshm_new(&options, &bad);
	if (result == 0)
		duoshm_free(bad);
	return result;
}

static void c4_registry_is_checked(void)
{
	const char *link = harness_path("link"), *file = harness_path("file"),
		   *shared = harness_path("shared");

	EXPECT(symlink(getenv("DUOSHM_DIR"), link), 0);
	EXPECT(bad_directory(link), DUOSHM_ERR_REGISTRY);
	EXPECT_PART(duoshm_failure()->cause, "symbolic link");
	fclose(fopen(file, "w"));
	EXPECT(bad_directory(file), DUOSHM_ERR_REGISTRY);
	EXPECT(mkdir(shared, 0700), 0);
	EXPECT(chmod(shared, 0777), 0);
	EXPECT(bad_directory(shared), DUOSHM_ERR_REGISTRY);
	if (geteuid() == 0) {
		EXPECT(chmod(shared, 0700), 0);
		EXPECT(chown(shared, NOBODY, NOBODY), 0);
		EXPECT(bad_directory(shared), DUOSHM_ERR_REGISTRY);
		EXPECT_PART(duoshm_failure()->cause, "belongs to user 65534");
	}
	unlink(link);
	unlink(file);
	rmdir(shared);
}

const struct harness_case right_cases[] = {
	{"C4 the mode is 0600, or the one asked for less the umask; the entry is the owner's to "
	 "write",
		c4_modes},
	{"C4 the kernel protects read-only memory", c4_read_only_is_protected},
	{"C4 another user reads what he may, and no more; he is counted as present",
		c4_other_users},
	{"C2 who opens or creates waits for another user's creation", c2_other_users},
	{"C4 reading needs no write permission to anything", c4_read_only_registry},
	{"C4 a registry that others could change is refused", c4_registry_is_checked},
	{NULL, NULL},
};
