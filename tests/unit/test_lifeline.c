/* SPDX-License-Identifier: MIT */
/* Lifelines: who is proven dead, who is not, and what the living have attached. */
#include "config.h"

#include "core/failure.h"
#include "core/file.h"
#include "core/lifeline.h"
#include "core/lifeline_layout.h"
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#define PROGRAM_THAT_STAYS "cat" /* until its standard input ends */

/* A new, private directory for each case. */
static const char *directory;
static void begin(const char *stem)
{
	directory = harness_path(stem);
	EXPECT(mkdir(directory, 0700), 0);
}

static bool has_file(uint64_t id)
{
	char path[DUOSHM__PATH_SIZE];
	struct stat file;
	duoshm__life_path(directory, id, path);
	return lstat(path, &file) == 0;
}

/* What a child tells of itself, in memory that it shares with its parent. */
struct told {
	uint64_t id;
	struct duoshm__process process;
	struct harness_gate ready, go;
	int how;
};
enum { STAY, EXEC, CLOSE_ALL, FORK_AND_STAY, LEAVE_CLEANLY, STOP_OWNING };

static struct told *share(int how)
{
	struct told *told =
		mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK_FATAL(told != MAP_FAILED);
	harness_gate(&told->ready);
	harness_gate(&told->go);
	told->how = how;
	return told;
}

static void unshare_told(struct told *told)
{
	harness_gate_close(&told->ready);
	harness_gate_close(&told->go);
	munmap(told, sizeof *told);
}

static int grandchild(void *arg)
{
	struct told *told = arg;
	harness_gate_open(&told->ready);
	for (;;)
		pause();
	return 0;
}

static void close_all(const struct told *told)
{
	for (int fd = 3; fd < 1024; fd++) {
		if (fd != told->ready.fds[1])
			close(fd);
	}
}

static int live(void *arg)
{
	struct told *told = arg;
	struct duoshm__lifeline *lifeline;
	OK(duoshm__lifeline_open(directory, &lifeline));
	told->id = duoshm__lifeline_id(lifeline);
	duoshm__process_self(&told->process);
	if (told->how == LEAVE_CLEANLY || told->how == STOP_OWNING)
		duoshm__lifeline_close(lifeline);
	if (told->how == LEAVE_CLEANLY)
		return 0;
	if (told->how == CLOSE_ALL)
		close_all(told);
	if (told->how == FORK_AND_STAY) {
		CHECK(harness_fork(grandchild, told) > 0);
		for (;;)
			pause();
	}
	if (told->how == EXEC) {
		CHECK(dup2(told->go.fds[0], STDIN_FILENO) == STDIN_FILENO);
		execlp(PROGRAM_THAT_STAYS, PROGRAM_THAT_STAYS, (char *)NULL);
		return 127;
	}
	harness_gate_open(&told->ready);
	for (;;)
		pause();
	return 0;
}

static enum duoshm__life life(uint64_t id)
{
	return duoshm__life_of(directory, id, NULL);
}

static bool is_mapped(uint64_t id)
{
	char path[DUOSHM__PATH_SIZE];
	struct duoshm__life_head head = {0};
	duoshm__life_path(directory, id, path);
	int fd = duoshm__file_open(path, O_RDONLY, 0);
	duoshm__file_read(fd, &head, sizeof head, 0);
	close(fd);
	return (head.flags & DUOSHM__LIFE_MAPPED) != 0;
}

#ifdef DUOSHM_MAPPING_HOLDS_FLOCK
/* Does a mapping of a file in the directory keep its flock? Tried here by other means than the library's. -1: who knows. */
static int mapping_holds_lock(void)
{
	char path[DUOSHM__PATH_SIZE];
	snprintf(path, sizeof path, "%s/.trial", directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int other = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || other < 0 || ftruncate(fd, 4096) != 0 || flock(fd, LOCK_EX) != 0)
		return -1;
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	int holds = flock(other, LOCK_EX | LOCK_NB) != 0;
	munmap(map, 4096);
	close(other);
	unlink(path);
	return holds;
}
#endif

static void one_for_a_process(void)
{
	begin("one");
	struct duoshm__lifeline *first, *second, *third;
	OK(duoshm__lifeline_open(directory, &first));
	OK(duoshm__lifeline_open(directory, &second));
	CHECK(first == second);
	uint64_t id = duoshm__lifeline_id(first);
	CHECK(id != 0 && id >> DUOSHM__LIFE_ID_BITS == 0);
	EXPECT(life(id), DUOSHM__ALIVE);
	CHECK(has_file(id));
#ifdef DUOSHM_MAPPING_HOLDS_FLOCK
	EXPECT(is_mapped(id), mapping_holds_lock());
#endif
	duoshm__lifeline_close(second);
	CHECK(has_file(id));
	EXPECT(life(id), DUOSHM__ALIVE);
	duoshm__lifeline_close(first);
	CHECK(!has_file(id));
	EXPECT(life(id), DUOSHM__DEAD);
	OK(duoshm__lifeline_open(directory, &third));
	CHECK(duoshm__lifeline_id(third) != id);
	duoshm__lifeline_close(third);
	EXPECT(rmdir(directory), 0); /* nothing else is left */
}

static void modes_of_files(void)
{
	struct duoshm__lifeline *lifeline;
	char path[DUOSHM__PATH_SIZE];
	struct stat file = {0};
	static const struct {
		const char *stem;
		mode_t of_directory, of_file;
	} modes[] = {{"private", 0700, 0600}, {"shared", 01777, 0644}, {"group", 0750, 0644}};
	mode_t before = umask(077);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		begin(modes[i].stem);
		EXPECT(chmod(directory, modes[i].of_directory), 0);
		OK(duoshm__lifeline_open(directory, &lifeline));
		duoshm__life_path(directory, duoshm__lifeline_id(lifeline), path);
		EXPECT(lstat(path, &file), 0);
		EXPECT(file.st_mode & 07777, modes[i].of_file);
		duoshm__lifeline_close(lifeline);
	}
	umask(before);
}

static pid_t start(struct told *told)
{
	pid_t pid = harness_fork(live, told);
	CHECK_FATAL(harness_gate_pass(&told->ready));
	return pid;
}

static void life_and_death(void)
{
	begin("death");
	struct told *told = share(STAY);
	pid_t pid = start(told);
	EXPECT(life(told->id), DUOSHM__ALIVE);
	harness_stop(pid);
	EXPECT(life(told->id), DUOSHM__ALIVE);
	CHECK(has_file(told->id));
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	EXPECT(life(told->id), DUOSHM__DEAD); /* a zombie */
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	/* the next one sweeps */
	CHECK(has_file(told->id));
	struct duoshm__lifeline *lifeline;
	OK(duoshm__lifeline_open(directory, &lifeline));
	CHECK(!has_file(told->id));
	CHECK(has_file(duoshm__lifeline_id(lifeline)));
	EXPECT(life(told->id), DUOSHM__DEAD);
	duoshm__lifeline_close(lifeline);
	unshare_told(told);
}

#ifdef __linux__
static int ask_of_other(void *arg)
{
	return life(*(uint64_t *)arg) == DUOSHM__ALIVE ? 0 : 1;
}

/* In a namespace of its own; 77: not possible here. */
static int live_on_overlay(void *arg)
{
	(void)arg;
	char options[1024], path[512];
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0)
		return 77;
	mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
	if (mount("tmpfs", directory, "tmpfs", 0, NULL) != 0)
		return 77;
	static const char *const parts[] = {"lower", "upper", "work", "merged"};
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, parts[i]);
		if (mkdir(path, 0700) != 0)
			return 77;
	}
	snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		directory, directory, directory);
	if (mount("overlay", path, "overlay", 0, options) != 0)
		return 77;
	directory = path;
	struct duoshm__lifeline *lifeline;
	OK(duoshm__lifeline_open(directory, &lifeline));
	uint64_t id = duoshm__lifeline_id(lifeline);
#ifdef DUOSHM_MAPPING_HOLDS_FLOCK
	CHECK(is_mapped(id) == mapping_holds_lock());
#endif
	OK(harness_wait(harness_fork(ask_of_other, &id)));
	duoshm__lifeline_close(lifeline);
	CHECK(!has_file(id));
	return 0;
}

/* On an overlay the mapping is one of the file below, and the descriptor alone holds the lock. */
static void lives_on_overlays(void)
{
	begin("overlay");
	int result = harness_wait(harness_fork(live_on_overlay, NULL));
	if (result == 77)
		HARNESS_SKIP("no overlay can be mounted here");
	EXPECT(result, 0);
}
#endif

static void clean_exit(void)
{
	begin("clean");
	struct told *told = share(LEAVE_CLEANLY);
	EXPECT(harness_wait(harness_fork(live, told)), 0);
	CHECK(!has_file(told->id));
	EXPECT(life(told->id), DUOSHM__DEAD);
	EXPECT(duoshm__life_of(directory, told->id, &told->process), DUOSHM__DEAD);
	unshare_told(told);
}

static void labels_can_only_veto(void)
{
	begin("label");
	struct told *told = share(STOP_OWNING);
	pid_t pid = start(told);
	CHECK(!has_file(told->id));
	EXPECT(life(told->id), DUOSHM__DEAD);
	EXPECT(duoshm__life_of(directory, told->id, &told->process), DUOSHM__UNPROVEN);
	struct duoshm__process other = told->process;
	other.start++;
	EXPECT(duoshm__life_of(directory, told->id, &other), DUOSHM__DEAD);
	harness_kill(pid);
	EXPECT(duoshm__life_of(directory, told->id, &told->process), DUOSHM__DEAD);
	unshare_told(told);
	told = share(STAY);
	pid = start(told);
	struct duoshm__process nobody = {0};
	EXPECT(duoshm__life_of(directory, told->id, &nobody), DUOSHM__ALIVE);
	harness_kill(pid);
	unshare_told(told);
}

static bool is_given_up(void *arg)
{
	const struct told *told = arg;
	return told->process.pid != 0 && life(told->id) != DUOSHM__ALIVE;
}

static void exec_ends_a_life(void)
{
	begin("exec");
	struct told *told = share(EXEC);
	pid_t pid = harness_fork(live, told);
	CHECK(harness_until(is_given_up, told));
	EXPECT(waitpid(pid, NULL, WNOHANG), 0); /* and yet it runs */
	CHECK(has_file(told->id));
	CHECK(life(told->id) == (is_mapped(told->id) ? DUOSHM__DEAD : DUOSHM__UNPROVEN));
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	unshare_told(told);
}

static void closing_all_ends_no_life(void)
{
	begin("closefrom");
	struct told *told = share(CLOSE_ALL);
	pid_t pid = start(told);
	CHECK(life(told->id) == (is_mapped(told->id) ? DUOSHM__ALIVE : DUOSHM__UNPROVEN));
	struct duoshm__lifeline *lifeline;
	OK(duoshm__lifeline_open(directory, &lifeline));
	CHECK(has_file(told->id)); /* not swept */
	duoshm__lifeline_close(lifeline);
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	unshare_told(told);
}

static void children_keep_no_parent_alive(void)
{
	begin("fork");
	struct told *told = share(FORK_AND_STAY);
	pid_t pid = start(told);
	EXPECT(life(told->id), DUOSHM__ALIVE);
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	unshare_told(told);
}

static struct duoshm__lifeline *inherited;
static int use_in_child(void *arg)
{
	(void)arg;
	struct duoshm__lifeline *own;
	unsigned slot;
	uint64_t parent = duoshm__lifeline_id(inherited);
	EXPECT(life(parent), DUOSHM__ALIVE);
	EXPECT(duoshm__lifeline_attach(inherited, 7, &slot), DUOSHM_ERR_FORKED);
	duoshm__lifeline_detach(inherited, 0);
	OK(duoshm__lifeline_open(directory, &own));
	CHECK(duoshm__lifeline_id(own) != parent);
	EXPECT(life(duoshm__lifeline_id(own)), DUOSHM__ALIVE);
	duoshm__lifeline_close(inherited);
	CHECK(has_file(parent));
	EXPECT(life(parent), DUOSHM__ALIVE);
	OK(duoshm__lifeline_attach(own, 7, &slot));
	uint64_t id = duoshm__lifeline_id(own);
	duoshm__lifeline_close(own);
	CHECK(!has_file(id));
	return 0;
}

struct count {
	uint64_t generation;
	unsigned times, others;
	int64_t pid;
};
static void count_one(uint64_t generation, int64_t pid, void *arg)
{
	struct count *count = arg;
	if (generation != count->generation) {
		count->others++;
		return;
	}
	count->times++;
	count->pid = pid;
}

static struct count scan(uint64_t generation)
{
	struct count count = {.generation = generation};
	unsigned unreadable = 99;
	EXPECT(duoshm__lifeline_scan(directory, count_one, &count, &unreadable), 0);
	EXPECT(unreadable, 0);
	return count;
}

static void a_child_gets_its_own(void)
{
	begin("child");
	unsigned slot;
	OK(duoshm__lifeline_open(directory, &inherited));
	EXPECT(duoshm__lifeline_attach(inherited, 5, &slot), 0);
	EXPECT(harness_wait(harness_fork(use_in_child, NULL)), 0);
	CHECK(has_file(duoshm__lifeline_id(inherited)));
	EXPECT(scan(5).times, 1);
	duoshm__lifeline_close(inherited);
}

/* ---- attachments ------------------------------------------------------------------------------- */

static int attach_and_stay(void *arg)
{
	struct told *told = arg;
	struct duoshm__lifeline *lifeline;
	unsigned slot;
	OK(duoshm__lifeline_open(directory, &lifeline));
	OK(duoshm__lifeline_attach(lifeline, 42, &slot));
	harness_gate_open(&told->ready);
	for (;;)
		pause();
	return 0;
}

static void counts_attachments(void)
{
	begin("count");
	struct told *told = share(STAY);
	struct duoshm__lifeline *lifeline;
	unsigned first, second, third;
	OK(duoshm__lifeline_open(directory, &lifeline));
	EXPECT(scan(42).times, 0);
	EXPECT(duoshm__lifeline_attach(lifeline, 42, &first), 0);
	EXPECT(duoshm__lifeline_attach(lifeline, 43, &second), 0);
	EXPECT(duoshm__lifeline_attach(lifeline, 42, &third), 0);
	CHECK(first != second && second != third && first != third);
	struct count count = scan(42);
	EXPECT(count.times, 1); /* once for a process, whatever the handles */
	EXPECT(count.others, 1);
	EXPECT(count.pid, getpid());
	pid_t pid = harness_fork(attach_and_stay, told);
	CHECK_FATAL(harness_gate_pass(&told->ready));
	EXPECT(scan(42).times, 2);
	duoshm__lifeline_detach(lifeline, first);
	EXPECT(scan(42).times, 2);
	duoshm__lifeline_detach(lifeline, third);
	EXPECT(scan(42).times, 1);
	EXPECT(scan(42).pid, pid);
	harness_kill(pid);
	EXPECT(scan(42).times, 0);
	EXPECT(scan(43).times, 1);
	duoshm__lifeline_close(lifeline);
	unshare_told(told);
}

static void fills_the_file(void)
{
	begin("full");
	struct duoshm__lifeline *lifeline;
	unsigned slot = 0, kept;
	OK(duoshm__lifeline_open(directory, &lifeline));
	unsigned failed = 0;
	for (unsigned i = 0; i < DUOSHM__LIFE_SLOTS; i++)
		failed += duoshm__lifeline_attach(lifeline, i + 1, &slot) != 0;
	EXPECT(failed, 0);
	kept = slot;
	EXPECT(duoshm__lifeline_attach(lifeline, 9, &slot), DUOSHM_ERR_LIMIT);
	EXPECT(slot, kept);
	CHECK(duoshm_failure()->cure[0] != '\0');
	EXPECT(scan(DUOSHM__LIFE_SLOTS).times, 1);
	EXPECT(scan(1).others, DUOSHM__LIFE_SLOTS - 1);
	duoshm__lifeline_detach(lifeline, kept);
	EXPECT(duoshm__lifeline_attach(lifeline, 9, &slot), 0);
	EXPECT(slot, kept);
	duoshm__lifeline_close(lifeline);
}

/* No room for the next page of the file: an error, and no SIGBUS. */
static int attach_without_room(void *arg)
{
	(void)arg;
	struct duoshm__lifeline *lifeline;
	struct rlimit limit;
	unsigned slot, n = 0;
	signal(SIGXFSZ, SIG_IGN);
	OK(duoshm__lifeline_open(directory, &lifeline));
	OK(getrlimit(RLIMIT_FSIZE, &limit));
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = 16384;
	OK(setrlimit(RLIMIT_FSIZE, &limit));
	while (duoshm__lifeline_attach(lifeline, 1, &slot) == 0)
		CHECK(++n < DUOSHM__LIFE_SLOTS);
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_LIMIT);
	CHECK(duoshm_failure()->system_error == EFBIG);
	struct duoshm__lifeline *other;
	EXPECT(duoshm__lifeline_open(harness_path("other"), &other), DUOSHM_ERR_LIMIT);
	OK(rmdir(harness_path("other"))); /* nothing half-made is left */
	limit.rlim_cur = before;
	OK(setrlimit(RLIMIT_FSIZE, &limit));
	OK(duoshm__lifeline_attach(lifeline, 1, &slot));
	duoshm__lifeline_close(lifeline);
	return 0;
}

static void no_room_is_an_error(void)
{
	begin("room");
	EXPECT(mkdir(harness_path("other"), 0700), 0);
	EXPECT(harness_wait(harness_fork(attach_without_room, NULL)), 0);
	EXPECT(rmdir(directory), 0);
}

enum { THREADS = 4, AT_A_TIME = 3 };
static _Atomic int taken[THREADS * AT_A_TIME];

/* No slot belongs to two threads at once. */
static void *attach_often(void *arg)
{
	for (unsigned i = 0; i < 5000; i++) {
		unsigned slots[AT_A_TIME];
		for (unsigned n = 0; n < AT_A_TIME; n++) {
			if (duoshm__lifeline_attach(arg, i + 1, &slots[n]) != 0 ||
				slots[n] >= THREADS * AT_A_TIME ||
				atomic_exchange(&taken[slots[n]], 1) != 0)
				return arg;
		}
		for (unsigned n = 0; n < AT_A_TIME; n++) {
			atomic_store(&taken[slots[n]], 0);
			duoshm__lifeline_detach(arg, slots[n]);
		}
	}
	return NULL;
}

static void threads_share_it(void)
{
	begin("threads");
	pthread_t threads[THREADS];
	struct duoshm__lifeline *lifeline;
	unsigned slot;
	OK(duoshm__lifeline_open(directory, &lifeline));
	for (int i = 0; i < THREADS; i++)
		OK(pthread_create(&threads[i], NULL, attach_often, lifeline));
	for (int i = 0; i < THREADS; i++) {
		void *failed = lifeline;
		pthread_join(threads[i], &failed);
		CHECK(failed == NULL);
	}
	EXPECT(scan(1).others + scan(1).times, 0);
	EXPECT(duoshm__lifeline_attach(lifeline, 77, &slot), 0);
	CHECK(slot < THREADS * AT_A_TIME); /* slots are used again */
	duoshm__lifeline_close(lifeline);
}

/* ---- what others may have put there ----------------------------------------------------------- */

static void write_file(uint64_t id, const void *bytes, size_t size)
{
	char path[DUOSHM__PATH_SIZE];
	duoshm__life_path(directory, id, path);
	int fd = duoshm__file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	EXPECT(duoshm__file_write(fd, bytes, size, 0), (ssize_t)size);
	close(fd);
}

/* Files whose lock is free, as on systems where a closed descriptor gave it back. */
static void free_locks_need_a_second_proof(void)
{
	begin("free");
	struct told *told = share(STAY);
	pid_t pid = start(told);
	struct duoshm__life_head head = {.magic = DUOSHM__LIFE_MAGIC,
		.layout = DUOSHM__LIFE_LAYOUT,
		.pid = told->process.pid,
		.start = told->process.start,
		.boot = told->process.boot};
	write_file(11, &head, sizeof head);
	EXPECT(life(11), DUOSHM__UNPROVEN);
	struct duoshm__life_head other = head;
	other.start++;
	write_file(12, &other, sizeof other);
	EXPECT(life(12), DUOSHM__DEAD);
	other = head;
	other.boot++;
	write_file(13, &other, sizeof other);
	CHECK(life(13) == (head.boot != 0 ? DUOSHM__DEAD : DUOSHM__UNPROVEN));
	other = head;
	other.flags = DUOSHM__LIFE_MAPPED;
	write_file(14, &other, sizeof other);
	EXPECT(life(14), DUOSHM__DEAD);
	duoshm__life_sweep(directory);
	/* 14: its process runs on in another program, and the file is the proof against the label's veto. */
	CHECK(has_file(11) && !has_file(12) && has_file(14));
	struct duoshm__process label = {.pid = head.pid, .start = head.start, .boot = head.boot};
	EXPECT(duoshm__life_of(directory, 14, &label), DUOSHM__DEAD);
	harness_kill(pid);
	EXPECT(life(11), DUOSHM__DEAD);
	duoshm__life_sweep(directory);
	CHECK(!has_file(14));
	unshare_told(told);
}

static void damaged_files_prove_nothing(void)
{
	begin("damaged");
	struct count count = {.generation = 1};
	unsigned unreadable = 0;
	char path[DUOSHM__PATH_SIZE];
	write_file(21, "", 0);
	write_file(22, "garbage", 7);
	EXPECT(life(21), DUOSHM__UNPROVEN);
	EXPECT(life(22), DUOSHM__UNPROVEN);
	duoshm__life_path(directory, 23, path);
	EXPECT(mkdir(path, 0700), 0);
	duoshm__life_path(directory, 24, path);
	EXPECT(symlink("/etc/passwd", path), 0);
	duoshm__life_path(directory, 25, path);
	EXPECT(mkfifo(path, 0600), 0);
	for (uint64_t id = 23; id <= 25; id++)
		EXPECT(life(id), DUOSHM__UNPROVEN);
	EXPECT(duoshm__lifeline_scan(directory, count_one, &count, &unreadable), 0);
	EXPECT(unreadable, 5);
	EXPECT(count.times + count.others, 0);
	duoshm__life_sweep(directory);
	for (uint64_t id = 21; id <= 25; id++)
		CHECK(has_file(id));
}

/* Held by us, so alive; its content claims more than there is. */
static void content_is_bounded(void)
{
	begin("hostile");
	struct {
		struct duoshm__life_head head;
		uint64_t slots[2];
	} file = {.head = {.magic = DUOSHM__LIFE_MAGIC, .layout = DUOSHM__LIFE_LAYOUT, .pid = 1},
		.slots = {5, 6}};
	duoshm__store32(&file.head.used, UINT32_MAX);
	write_file(31, &file, sizeof file - 3); /* cut amid a slot */
	char path[DUOSHM__PATH_SIZE];
	duoshm__life_path(directory, 31, path);
	int fd = duoshm__file_open(path, O_RDWR, 0);
	EXPECT(flock(fd, LOCK_EX), 0);
	EXPECT(scan(5).times, 1);
	EXPECT(scan(5).others, 0);
	EXPECT(ftruncate(fd, 1 << 30), 0); /* sparse, and huge */
	EXPECT(scan(5).times, 1);
	EXPECT(scan(5).others, 1);
	close(fd);
}

static int open_without_rights(void *arg)
{
	(void)arg;
	struct duoshm__lifeline *lifeline = NULL;
	if (geteuid() == 0)
		OK(setuid(65534));
	EXPECT(duoshm__lifeline_open(directory, &lifeline), DUOSHM_ERR_PERMISSION);
	CHECK(lifeline == NULL);
	CHECK(duoshm_failure()->system_error == EACCES);
	return 0;
}

static void needs_a_writable_directory(void)
{
	begin("readonly");
	EXPECT(chmod(directory, 0555), 0);
	EXPECT(chmod(harness_scratch_dir(), 0755), 0);
	EXPECT(harness_wait(harness_fork(open_without_rights, NULL)), 0);
	EXPECT(chmod(directory, 0700), 0);
}

static int open_and_close_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 40; i++) {
		struct duoshm__lifeline *lifeline;
		OK(duoshm__lifeline_open(directory, &lifeline));
		CHECK(has_file(duoshm__lifeline_id(lifeline)));
		struct duoshm__registry registry = {.fd = -1};
		snprintf(registry.directory, sizeof registry.directory, "%s", directory);
		duoshm__registry_sweep(&registry);
		CHECK(has_file(duoshm__lifeline_id(lifeline)));
		duoshm__lifeline_close(lifeline);
	}
	return 0;
}

/* Makers and sweepers at once: nobody is swept away, and nothing is left. */
static void survives_sweepers(void)
{
	begin("sweep");
	enum { PROCESSES = 6 };
	pid_t pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = harness_fork(open_and_close_often, NULL);
	for (int i = 0; i < PROCESSES; i++)
		EXPECT(harness_wait(pids[i]), 0);
	EXPECT(rmdir(directory), 0);
}

static const struct harness_case cases[] = {
	{"one for a process and directory", one_for_a_process},
	{"modes of the files", modes_of_files},
	{"life and death: killed, stopped, zombie", life_and_death},
	{"life and death: clean exit", clean_exit},
	{"life and death: labels can only veto", labels_can_only_veto},
	{"life and death: exec", exec_ends_a_life},
#ifdef __linux__
	{"life and death: on an overlay", lives_on_overlays},
#endif
	{"life and death: all descriptors closed", closing_all_ends_no_life},
	{"life and death: a child outlives its parent", children_keep_no_parent_alive},
	{"life and death: a child gets its own", a_child_gets_its_own},
	{"life and death: free locks need a second proof", free_locks_need_a_second_proof},
	{"attachments: counted once for a process", counts_attachments},
	{"attachments: as many as the file holds", fills_the_file},
	{"attachments: no room on the disk", no_room_is_an_error},
	{"attachments: by several threads", threads_share_it},
	{"files of others: damaged", damaged_files_prove_nothing},
	{"files of others: lengths are bounded", content_is_bounded},
	{"makers and sweepers at once", survives_sweepers},
	{"a directory that cannot be written", needs_a_writable_directory},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "lifelines", cases);
}
