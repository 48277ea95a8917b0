/* SPDX-License-Identifier: MIT */
/* Lifelines: who is proven dead, who is not, and what the living have attached. */
#include "config.h"

#include "core/failure.h"
#include "core/file.h"
#include "core/lifeline.h"
#include "core/lifeline_layout.h"
#include "harness/harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#ifdef __linux__
#include <sys/mount.h>
#endif
#include <sys/resource.h>

#define PROGRAM_THAT_STAYS "cat" /* until its standard input ends */

/* What a child tells of itself, in memory that it shares with its parent. */
struct told {
	uint64_t id;
	struct duoshm__process process;
	struct harness_gate ready, go;
	int how;
};
enum { STAY, EXEC, CLOSE_ALL, FORK_AND_STAY, STOP_OWNING };

/* A new, private directory for each case, and memory for what its child tells. */
static const char *directory;
static struct told *told;

static void begin(void)
{
	static unsigned cases_begun;
	char stem[16];

	snprintf(stem, sizeof stem, "case%u", cases_begun++);
	directory = harness_path(stem);
	EXPECT(mkdir(directory, 0700), 0);
	told = harness_shared(sizeof *told);
	harness_gate(&told->ready);
	harness_gate(&told->go);
}

static void end(void)
{
	harness_gate_close(&told->ready);
	harness_gate_close(&told->go);
	munmap(told, sizeof *told);
}

static struct duoshm__lifeline *open_lifeline(void)
{
	struct duoshm__lifeline *lifeline = NULL;

	OK(duoshm__lifeline_open(directory, &lifeline));
	return lifeline;
}

static unsigned attach(struct duoshm__lifeline *lifeline, uint64_t generation)
{
	unsigned slot = 0;

	OK(duoshm__lifeline_attach(lifeline, generation, &slot));
	return slot;
}

static bool has_file(uint64_t id)
{
	char path[DUOSHM__PATH_SIZE];
	struct stat file;
	duoshm__life_path(directory, id, path);
	return lstat(path, &file) == 0;
}

static _Noreturn void stay(void)
{
	harness_gate_open(&told->ready);
	for (;;)
		pause();
}

static int grandchild(void *arg)
{
	(void)arg;
	stay();
}

static int live(void *arg)
{
	struct duoshm__lifeline *lifeline = open_lifeline();

	(void)arg;
	told->id = duoshm__lifeline_id(lifeline);
	duoshm__process_self(&told->process);
	if (told->how == STOP_OWNING)
		duoshm__lifeline_close(lifeline);
	for (int fd = 3; fd < 1024 && told->how == CLOSE_ALL; fd++) {
		if (fd != told->ready.fds[1])
			close(fd);
	}
	if (told->how == FORK_AND_STAY) {
		CHECK(harness_fork(grandchild, NULL) > 0);
		for (;;)
			pause();
	}
	if (told->how == EXEC) {
		CHECK(dup2(told->go.fds[0], STDIN_FILENO) == STDIN_FILENO);
		execlp(PROGRAM_THAT_STAYS, PROGRAM_THAT_STAYS, (char *)NULL);
		return 127;
	}
	stay();
}

static pid_t start(int how)
{
	told->how = how;
	pid_t pid = harness_fork(live, NULL);
	CHECK_FATAL(harness_gate_pass(&told->ready));
	return pid;
}

static enum duoshm__life life(uint64_t id)
{
	return duoshm__life_of(directory, id, NULL);
}

static enum duoshm__life life_of_told(const struct duoshm__process *label)
{
	return duoshm__life_of(directory, told->id, label);
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
/*
 * Does a mapping of a file in the directory keep its flock? Tried here by other means than the
 * library's. -1: who knows.
 */
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
	struct duoshm__lifeline *first = open_lifeline(), *second = open_lifeline();
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
	struct duoshm__lifeline *third = open_lifeline();
	CHECK(duoshm__lifeline_id(third) != id);
	duoshm__lifeline_close(third);
	EXPECT(rmdir(directory), 0); /* nothing else is left */
}

static void modes_of_files(void)
{
	char path[DUOSHM__PATH_SIZE];
	struct stat file = {0};
	static const mode_t modes[][2] = {{0700, 0600}, {01777, 0644}, {0750, 0644}};
	mode_t before = umask(077);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		EXPECT(chmod(directory, modes[i][0]), 0);
		struct duoshm__lifeline *lifeline = open_lifeline();
		duoshm__life_path(directory, duoshm__lifeline_id(lifeline), path);
		EXPECT(lstat(path, &file), 0);
		EXPECT(file.st_mode & 07777, modes[i][1]);
		duoshm__lifeline_close(lifeline);
	}
	umask(before);
}

static void life_and_death(void)
{
	siginfo_t info;
	pid_t pid = start(STAY);
	harness_stop(pid);
	EXPECT(life(told->id), DUOSHM__ALIVE);
	harness_proves(6, 1, "stops");
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	EXPECT(life(told->id), DUOSHM__DEAD); /* a zombie */
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	harness_proves(7, 1, "zombies");
	CHECK(has_file(told->id));
	/* the next one sweeps */
	struct duoshm__lifeline *lifeline = open_lifeline();
	CHECK(!has_file(told->id) && has_file(duoshm__lifeline_id(lifeline)));
	EXPECT(life(told->id), DUOSHM__DEAD);
	duoshm__lifeline_close(lifeline);
}

#ifdef __linux__
static int ask_of_other(void *arg)
{
	return life(*(uint64_t *)arg) == DUOSHM__ALIVE ? 0 : 1;
}

/* In a namespace of its own; 77: not possible here. */
static void live_on_overlay(void)
{
	static const char *const parts[] = {"lower", "upper", "work", "merged"};
	char options[1024], path[512];
	if (!harness_enter(directory, NULL))
		HARNESS_SKIP("no such machine here");
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, parts[i]);
		if (mkdir(path, 0700) != 0)
			HARNESS_SKIP("no such machine here");
	}
	snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		directory, directory, directory);
	if (mount("overlay", path, "overlay", 0, options) != 0)
		HARNESS_SKIP("no such machine here");
	directory = path;
	struct duoshm__lifeline *lifeline = open_lifeline();
	uint64_t id = duoshm__lifeline_id(lifeline);
#ifdef DUOSHM_MAPPING_HOLDS_FLOCK
	EXPECT(is_mapped(id), mapping_holds_lock());
#endif
	EXPECT(harness_wait(harness_fork(ask_of_other, &id)), 0);
	duoshm__lifeline_close(lifeline);
	CHECK(!has_file(id));
}

/* On an overlay the mapping is one of the file below, and the descriptor alone holds the lock. */
static void lives_on_overlays(void)
{
	harness_in_child(live_on_overlay);
}
#endif

static void labels_can_only_veto(void)
{
	pid_t pid = start(STOP_OWNING);
	CHECK(!has_file(told->id));
	EXPECT(life(told->id), DUOSHM__DEAD);
	EXPECT(life_of_told(&told->process), DUOSHM__UNPROVEN);
	struct duoshm__process other = told->process, nobody = {0};
	other.start++;
	EXPECT(life_of_told(&other), DUOSHM__DEAD);
	harness_kill(pid);
	EXPECT(life_of_told(&told->process), DUOSHM__DEAD);
	pid = start(STAY);
	EXPECT(life_of_told(&nobody), DUOSHM__ALIVE);
	harness_kill(pid);
}

static bool is_given_up(void *arg)
{
	(void)arg;
	return told->process.pid != 0 && life(told->id) != DUOSHM__ALIVE;
}

static void exec_ends_a_life(void)
{
	told->how = EXEC;
	pid_t pid = harness_fork(live, NULL);
	CHECK(harness_until(is_given_up, NULL));
	EXPECT(waitpid(pid, NULL, WNOHANG), 0); /* and yet it runs */
	CHECK(has_file(told->id));
	EXPECT(life(told->id), is_mapped(told->id) ? DUOSHM__DEAD : DUOSHM__UNPROVEN);
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	harness_proves(7, 1, "programs executed");
}

static void closing_all_ends_no_life(void)
{
	pid_t pid = start(CLOSE_ALL);
	EXPECT(life(told->id), is_mapped(told->id) ? DUOSHM__ALIVE : DUOSHM__UNPROVEN);
	struct duoshm__lifeline *lifeline = open_lifeline();
	CHECK(has_file(told->id)); /* not swept */
	duoshm__lifeline_close(lifeline);
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	harness_proves(7, 1, "processes without descriptors");
}

static void children_keep_no_parent_alive(void)
{
	pid_t pid = start(FORK_AND_STAY);
	EXPECT(life(told->id), DUOSHM__ALIVE);
	harness_kill(pid);
	EXPECT(life(told->id), DUOSHM__DEAD);
	harness_proves(7, 1, "children that outlive");
}

struct count {
	uint64_t generation;
	unsigned times, others;
};
static void count_one(uint64_t generation, int64_t pid, void *arg)
{
	struct count *count = arg;
	(void)pid;
	count->times += generation == count->generation;
	count->others += generation != count->generation;
}

static struct count scan(uint64_t generation)
{
	struct count count = {.generation = generation};
	unsigned unreadable = 99;
	EXPECT(duoshm__lifeline_scan(directory, count_one, &count, &unreadable), 0);
	EXPECT(unreadable, 0);
	return count;
}

static struct duoshm__lifeline *inherited;
static void use_the_parents(void)
{
	unsigned slot;
	EXPECT(duoshm__lifeline_attach(inherited, 7, &slot), DUOSHM_ERR_FORKED);
	duoshm__lifeline_detach(inherited, 0);
	duoshm__lifeline_close(inherited);
}

static void a_child_has_no_part_in_its_parents(void)
{
	inherited = open_lifeline();
	attach(inherited, 5);
	harness_in_child(use_the_parents);
	CHECK(has_file(duoshm__lifeline_id(inherited)));
	EXPECT(scan(5).times, 1);
	duoshm__lifeline_close(inherited);
}

/* ---- attachments ----------------------------------------------------------------------------- */

static void fills_the_file(void)
{
	struct duoshm__lifeline *lifeline = open_lifeline();
	unsigned slot = 0;
	for (unsigned i = 0; i < DUOSHM__LIFE_SLOTS; i++)
		slot = attach(lifeline, i + 1);
	unsigned kept = slot;
	EXPECT(duoshm__lifeline_attach(lifeline, 9, &slot), DUOSHM_ERR_LIMIT);
	EXPECT(slot, kept);
	CHECK(duoshm_failure()->cure[0] != '\0');
	EXPECT(scan(DUOSHM__LIFE_SLOTS).times, 1);
	EXPECT(scan(1).others, DUOSHM__LIFE_SLOTS - 1);
	duoshm__lifeline_detach(lifeline, kept);
	EXPECT(attach(lifeline, 9), kept);
	duoshm__lifeline_close(lifeline);
}

static void limit_file_size(rlim_t size)
{
	struct rlimit limit;
	OK(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
	OK(setrlimit(RLIMIT_FSIZE, &limit));
}

/* No room for the next page of the file: an error, and no SIGBUS. */
static void attach_without_room(void)
{
	struct duoshm__lifeline *lifeline = open_lifeline(), *other;
	unsigned slot, n = 0;
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(16384);
	while (duoshm__lifeline_attach(lifeline, 1, &slot) == 0)
		CHECK(++n < DUOSHM__LIFE_SLOTS);
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_LIMIT);
	EXPECT(duoshm_failure()->system_error, EFBIG);
	EXPECT(duoshm__lifeline_open(harness_path("other"), &other), DUOSHM_ERR_LIMIT);
	OK(rmdir(harness_path("other"))); /* nothing half-made is left */
	limit_file_size(RLIM_INFINITY);
	attach(lifeline, 1);
	duoshm__lifeline_close(lifeline);
}

static void no_room_is_an_error(void)
{
	EXPECT(mkdir(harness_path("other"), 0700), 0);
	harness_in_child(attach_without_room);
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
	pthread_t threads[THREADS];
	struct duoshm__lifeline *lifeline = open_lifeline();
	for (int i = 0; i < THREADS; i++)
		OK(pthread_create(&threads[i], NULL, attach_often, lifeline));
	for (int i = 0; i < THREADS; i++) {
		void *failed = lifeline;
		pthread_join(threads[i], &failed);
		CHECK(failed == NULL);
	}
	EXPECT(scan(1).others + scan(1).times, 0);
	CHECK(attach(lifeline, 77) < THREADS * AT_A_TIME); /* slots are used again */
	duoshm__lifeline_close(lifeline);
}

/* ---- what others may have put there ---------------------------------------------------------- */

static void write_file(uint64_t id, const void *bytes, size_t size)
{
	char path[DUOSHM__PATH_SIZE];
	duoshm__life_path(directory, id, path);
	harness_write(path, bytes, size);
}

/* Files whose lock is free, as on systems where a closed descriptor gave it back. */
static void free_locks_need_a_second_proof(void)
{
	pid_t pid = start(STAY);
	struct duoshm__life_head head = {.magic = DUOSHM__LIFE_MAGIC,
		.layout = DUOSHM__LIFE_LAYOUT,
		.pid = told->process.pid,
		.start = told->process.start,
		.boot = told->process.boot};
	struct duoshm__life_head another_start = head, another_boot = head, mapped = head;
	another_start.start++;
	another_boot.boot++;
	mapped.flags = DUOSHM__LIFE_MAPPED;
	write_file(11, &head, sizeof head);
	write_file(12, &another_start, sizeof head);
	write_file(13, &another_boot, sizeof head);
	write_file(14, &mapped, sizeof head);
	EXPECT(life(11), DUOSHM__UNPROVEN);
	EXPECT(life(12), DUOSHM__DEAD);
	EXPECT(life(13), head.boot != 0 ? DUOSHM__DEAD : DUOSHM__UNPROVEN);
	EXPECT(life(14), DUOSHM__DEAD);
	duoshm__life_sweep(directory);
	/*
	 * 14: its process runs on in another program, and the file is the proof against the label's
	 * veto.
	 */
	CHECK(has_file(11) && !has_file(12) && has_file(14));
	EXPECT(duoshm__life_of(directory, 14, &told->process), DUOSHM__DEAD);
	harness_kill(pid);
	EXPECT(life(11), DUOSHM__DEAD);
	harness_proves(7, 4, "forged lifelines");
	duoshm__life_sweep(directory);
	CHECK(!has_file(14));
}

static void damaged_files_prove_nothing(void)
{
	struct count count = {.generation = 1};
	unsigned unreadable = 0;
	char paths[3][DUOSHM__PATH_SIZE];
	for (uint64_t i = 0; i < 3; i++)
		duoshm__life_path(directory, 23 + i, paths[i]);
	write_file(21, "", 0);
	write_file(22, "garbage", 7);
	EXPECT(mkdir(paths[0], 0700), 0);
	EXPECT(symlink("/etc/passwd", paths[1]), 0);
	EXPECT(mkfifo(paths[2], 0600), 0);
	for (uint64_t id = 21; id <= 25; id++)
		EXPECT(life(id), DUOSHM__UNPROVEN);
	EXPECT(duoshm__lifeline_scan(directory, count_one, &count, &unreadable), 0);
	EXPECT(unreadable, 5);
	EXPECT(count.times + count.others, 0);
	duoshm__life_sweep(directory);
	for (uint64_t id = 21; id <= 25; id++)
		CHECK(has_file(id));
	harness_proves(16, 5, "plants");
}

/* Held by us, so alive; its content claims more than there is. */
static void content_is_bounded(void)
{
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
	uint64_t beyond = 77;              /* what is beyond a whole file does not count */
	EXPECT(pwrite(fd, &beyond, sizeof beyond, DUOSHM__LIFE_FILE_SIZE), sizeof beyond);
	EXPECT(scan(5).times, 1);
	EXPECT(scan(5).others, 1);
	close(fd);
}

static void open_and_close_often(void)
{
	struct duoshm__registry registry = {.fd = -1};
	snprintf(registry.directory, sizeof registry.directory, "%s", directory);
	for (int i = 0; i < 40; i++) {
		struct duoshm__lifeline *lifeline = open_lifeline();
		CHECK(has_file(duoshm__lifeline_id(lifeline)));
		duoshm__registry_sweep(&registry);
		CHECK(has_file(duoshm__lifeline_id(lifeline)));
		duoshm__lifeline_close(lifeline);
	}
}

/* Makers and sweepers at once: nobody is swept away, and nothing is left. */
static void survives_sweepers(void)
{
	harness_in_children(6, open_and_close_often);
	EXPECT(rmdir(directory), 0);
}

static const struct harness_case cases[] = {
	{"one for a process and directory", one_for_a_process},
	{"modes of the files", modes_of_files},
	{"life and death: killed, stopped, zombie", life_and_death},
	{"life and death: labels can only veto", labels_can_only_veto},
	{"life and death: exec", exec_ends_a_life},
#ifdef __linux__
	{"life and death: on an overlay", lives_on_overlays},
#endif
	{"life and death: all descriptors closed", closing_all_ends_no_life},
	{"life and death: a child outlives its parent", children_keep_no_parent_alive},
	{"life and death: a child has no part in its parent's", a_child_has_no_part_in_its_parents},
	{"life and death: free locks need a second proof", free_locks_need_a_second_proof},
	{"attachments: as many as the file holds", fills_the_file},
	{"attachments: no room on the disk", no_room_is_an_error},
	{"attachments: by several threads", threads_share_it},
	{"files of others: damaged", damaged_files_prove_nothing},
	{"files of others: lengths are bounded", content_is_bounded},
	{"makers and sweepers at once", survives_sweepers},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, end);
	return harness_run(argc, argv, "lifelines", cases);
}
