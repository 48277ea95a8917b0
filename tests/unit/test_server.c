/* SPDX-License-Identifier: MIT */
/*
 * The device as a whole, in virtual time, with clients in this process and in others; once per
 * family. A client that waits for an answer is a child; the parent steps the device until the child
 * has ended.
 */
#include "config.h"

#include "core/clock.h"
#include "core/object.h"
#include "device/lane_layout.h"
#include "device/server_state.h"
#include "duoshm/device.h"
#include "harness/fixture.h"

#include <semaphore.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>

static struct duoshm *ctx, *of_parent;
static struct duoshm__setup setup;
static struct duoshm__server *server;
static struct duoshm_device *device; /* a client of it; in a child, the child's */
static int64_t now;
static const char *directory; /* of the registry; NULL: the program's own */

/* A client's lane does not fit beside a device in 64 KiB. */
static bool is_cramped(void)
{
	bool cramped = harness_profile("tiny-shm") && strcmp(harness_backend(), "posix") == 0;

	if (cramped)
		harness_skip("no room for lanes");
	return cramped;
}

static void prepare(const char *wave, const char *rate)
{
	ctx = context_of(harness_backend(), directory);
	duoshm__setup_init(&setup);
	EXPECT(duoshm__setup_set(&setup, "name", harness_name("device")), 0);
	EXPECT(duoshm__setup_set(&setup, "wave", wave), 0);
	EXPECT(duoshm__setup_set(&setup, "rate", rate), 0);
	now = duoshm__now();
}

static void connect_to_it(void)
{
	OK(duoshm_device_connect(ctx, harness_name("device"), 10 * SECOND, &device));
}

/* Replay of a file of so many frames, each its number and minus that. */
static void write_recording(int frames)
{
	FILE *file = fopen(harness_path("recording.csv"), "w");

	CHECK_FATAL(file != NULL);
	for (int i = 0; i < frames; i++)
		fprintf(file, "%d,%d\n", i, -i);
	fclose(file);
	EXPECT(duoshm__setup_set(&setup, "replay", harness_path("recording.csv")), 0);
}

/* One step, after so much virtual time. */
static int64_t step(int64_t later)
{
	now += later;
	return duoshm__server_step(server, now);
}

/* It is there, and has a client. */
static void start(void)
{
	CHECK_FATAL(duoshm__server_new(ctx, &setup, now, &server) >= 0);
	connect_to_it();
}

static void begin(const char *wave, const char *rate)
{
	prepare(wave, rate);
	start();
	step(0);
}

static void end(void)
{
	duoshm_device_disconnect(device);
	duoshm__server_free(server);
	server = NULL;
	end_context(ctx);
}

static int64_t integer_of(const char *name)
{
	struct duoshm_value value = {0};
	int index = duoshm_device_find(device, name);

	CHECK(index >= 0);
	EXPECT(duoshm_device_read(device, (unsigned)index, &value), 0);
	return value.integer;
}

static void says(const char *line, const char *wanted)
{
	char reply[DUOSHM_REPLY_SIZE];

	duoshm__server_command(server, line, reply);
	EXPECT_PART(reply, wanted);
}

/* In a child: with a context of its own; its parent steps the device until it has ended. */
static void begin_client(void)
{
	of_parent = ctx; /* where a leak checker finds it */
	(void)duoshm_device_disconnect(device);
	ctx = context_of(harness_backend(), directory);
	connect_to_it();
}

static int end_client(void)
{
	EXPECT(duoshm_device_disconnect(device), 0);
	return duoshm_free(ctx);
}

/* Steps the device, real time and a bit more of the virtual one, until the child ends. */
static void serve(pid_t child, int64_t later)
{
	int64_t until = duoshm__now() + 30 * SECOND;

	while (duoshm__now() < until) {
		siginfo_t info = {0};

		step(later);
		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid)
			break;
		duoshm__server_wait(server, MS);
	}
	EXPECT(harness_wait(child), 0);
}

/* ---- alone ---- */

static void frames_come_in_time(void)
{
	prepare("counter", "10Hz");
	start();
	EXPECT(integer_of("FRAMES"), 0);
	CHECK(step(0) <= SECOND / 10);
	EXPECT(integer_of("FRAMES"), 1);
	step(SECOND / 20);
	EXPECT(integer_of("FRAMES"), 1);
	step(SECOND / 20);
	EXPECT(integer_of("FRAMES"), 2);
	EXPECT(integer_of("VOLT"), 1);
	step(100 * SECOND); /* nothing is lost when nobody stepped for long */
	EXPECT(integer_of("FRAMES"), 1002);
	end();
}

static void followers_get_every_frame(void)
{
	struct duoshm_format format;
	struct duoshm_block block;
	uint64_t next = 1;

	begin("counter", "1kHz");
	EXPECT(duoshm_device_format(device, &format), 0);
	EXPECT(format.sample_type, DUOSHM_SAMPLE_INT32);
	CHECK(format.rate_hz == 1000 && format.bits == 10 && format.channels == 1);
	EXPECT(duoshm_device_follow(device), 0);
	EXPECT(duoshm_device_next(device, 0, &block), DUOSHM_ERR_TIMEOUT);
	for (int i = 0; i < 20; i++) {
		step(SECOND / 50);
		while (duoshm_device_next(device, 0, &block) == 0) {
			EXPECT(block.first, next);
			EXPECT(block.missed, 0);
			for (unsigned k = 0; k < block.frames; k++)
				EXPECT(((const int32_t *)block.samples)[k], (next + k) % 1024);
			next += block.frames;
		}
	}
	EXPECT(next, 401);
	for (int i = 0; i < 10; i++) /* more than the stream holds; a step makes a block at least */
		step(6 * SECOND);
	EXPECT(duoshm_device_next(device, 0, &block), 0);
	CHECK(block.missed > 0);
	EXPECT(block.first, next + block.missed);
	end();
}

static void commands(void)
{
	static const struct {
		const char *line, *reply;
	} said[] = {
		{"set PERIOD=500ms", "Old : PERIOD 2 s\nNew : PERIOD 0.5 s"},
		{"set period = 3", "New : PERIOD 3 s"},
		{"set PERIOD=0", "PERIOD: 0 is beyond its limits, 1e-09 to 1e+09 s"},
		{"set PERIOD=1V", "PERIOD: real register: \"1V\" is not a number in s"},
		{"set AMPLITUDE=1e300", "beyond its limits"},
		{"set OFFSET=-1e300", "beyond its limits"},
		{"set SEED=-1", "beyond its limits, 0 to 9.22337e+18"},
		{"set VOLT=1", "read-only"},
		{"set NOSUCH=1", "no such register: NOSUCH"},
		{"set PERIOD", "needs REG=VALUE"},
		{"get PERIOD RATE", "PERIOD 3 s\nRATE 10 Hz"},
		{"config square:period=4s", "VOLT square:period=4s"},
		{"config sinus", "unknown wave"},
		{"nonsense", "unknown command \"nonsense\""},
		{"status x", "status stands alone, without \"x\""},
		{"start x", "start stands alone"},
		{"stop now", "stop stands alone"},
		{"exit 1", "exit stands alone"},
		{"get\nPERIOD", "without control characters"},
		{"get PERIOD\033[2J", "without control characters"},
		{"status", "running, frame 1, clients: 0, commands: 0"},
		{"help", "exit"},
		{"  stop \n", "stopped"},
	};

	begin("sine", "10Hz");
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		says(said[i].line, said[i].reply);
	int64_t frames = integer_of("FRAMES");
	step(SECOND);
	EXPECT(integer_of("FRAMES"), frames);
	EXPECT(integer_of("RUN"), 0);
	says("set RUN=on", "New : RUN on");
	says("set RATE=100", "New : RATE 100 Hz");
	step(0);
	step(SECOND);
	EXPECT(integer_of("FRAMES"), frames + 101);
	EXPECT(duoshm__server_over(server), 0);
	says("exit", "bye");
	EXPECT(duoshm__server_over(server), 1);
	end();
}

static void the_end_is_told(void)
{
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_value value;
	struct duoshm_block block;

	begin("sine", "10Hz");
	EXPECT(duoshm_device_info(device, &info), 0);
	EXPECT(info.pid, getpid());
	CHECK(info.running && info.alive == 1);
	EXPECT_TEXT(info.signal, "sine:period=2s:amp=1V");
	CHECK(info.heartbeat_age_ns >= 0 && info.heartbeat_age_ns < 60 * SECOND);
	EXPECT(duoshm_device_follow(device), 0);
	EXPECT(duoshm_device_check(device), 0);
	duoshm__server_free(server);
	server = NULL;
	EXPECT(duoshm_device_check(device), DUOSHM_ERR_REMOVED);
	EXPECT(duoshm_device_next(device, SECOND, &block), DUOSHM_ERR_REMOVED);
	EXPECT_PART(duoshm_failure()->cause, "has ended");
	EXPECT(duoshm_device_read(device, 0, &value), 0); /* its last values stay */
	end();
}

static int serve_till_told(void *helper)
{
	prepare("sine", "10Hz");
	CHECK(duoshm__server_new(ctx, &setup, now, &server) >= 0);
	step(0);
	EXPECT(helper_stays(helper), 0);
	EXPECT(duoshm__server_free(server), 0);
	return duoshm_free(ctx);
}

/* Whether its client looks before its process is gone, or after. */
static void an_end_is_no_death(void)
{
	struct helper helper;

	start_helper(&helper, serve_till_told, "device", 0);
	ctx = new_context();
	connect_to_it();
	EXPECT(duoshm_device_check(device), 0);
	finish_helper(&helper);
	EXPECT(duoshm_device_check(device), DUOSHM_ERR_REMOVED);
	EXPECT_PART(duoshm_failure()->cause, "has ended");
	duoshm_device_disconnect(device);
	end_context(ctx);
}

static void names(void)
{
	struct duoshm__server *second = NULL;
	char name[64];

	begin("sine", "10Hz");
	EXPECT(duoshm__server_new(ctx, &setup, now, &second), DUOSHM_ERR_EXISTS);
	memset(name, 'x', 49);
	name[49] = '\0';
	EXPECT(duoshm__setup_set(&setup, "name", name), DUOSHM_ERR_INVALID);
	CHECK(second == NULL);
	end();
}

static void refuses(const char *why)
{
	EXPECT(duoshm__server_new(ctx, &setup, now, &server), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, why);
	duoshm__setup_init(&setup);
}

#ifdef HAVE_INIH
static void describe(const char *head, int registers, const char *tail)
{
	FILE *file = fopen(harness_path("many.ini"), "w");

	CHECK_FATAL(file != NULL);
	fputs(head, file);
	for (int i = 0; i < registers; i++)
		fprintf(file, "[register R%d]\n%s", i, tail);
	fclose(file);
	duoshm__setup_init(&setup);
	OK(duoshm__setup_read(&setup, harness_path("many.ini")));
}

static void registers_that_clash_are_told_with_their_line(void)
{
	ctx = new_context();
	describe("[register A]\n[register RATE]\nunit = V\n", 0, "");
	refuses("many.ini:3: two registers are named RATE");
	describe("[register PERIOD]\nwave = dc\n", 0, "");
	refuses("many.ini:2: two registers are named PERIOD");
	describe("", 65, "wave = dc\n");
	refuses("many.ini:130: more than 64 registers have waves");
	end_context(ctx);
}
#endif

/* ---- replay ---- */

static void write_columns(const char *text)
{
	FILE *file = fopen(harness_path("columns.csv"), "w");

	CHECK_FATAL(file != NULL);
	fputs(text, file);
	fclose(file);
	EXPECT(duoshm__setup_set(&setup, "replay", harness_path("columns.csv")), 0);
}

static void columns_keep_their_units(void)
{
	static const char *const units[] = {"V", "A", "V"};
	struct duoshm_register about;
	struct duoshm_format format;

	if (is_cramped())
		return;
	prepare("sine", "1kHz");
	write_columns("a (V),b (A),c (V)\n1,2,3\n");
	start();
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(duoshm_device_describe(device, i, &about), 0);
		EXPECT_TEXT(about.unit, units[i]);
	}
	EXPECT(duoshm_device_format(device, &format), 0);
	EXPECT_TEXT(format.unit, "");
	end();
	ctx = new_context();
	write_columns("a (V),a (V)\n1,2\n");
	refuses("columns.csv: two registers are named A");
	write_columns("rate\n1\n");
	refuses("columns.csv: two registers are named RATE");
	end_context(ctx);
}

static void a_replay_ends(void)
{
	struct duoshm_block block = {0};
	unsigned frames = 0;

	prepare("sine", "1kHz");
	write_recording(1500);
	setup.start_now = setup.once = 1;
	start();
	EXPECT(duoshm_device_follow(device), 0);
	for (int i = 0; i < 400 && !duoshm__server_over(server); i++) {
		step(SECOND / 100);
		while (duoshm_device_next(device, 0, &block) == 0) {
			EXPECT(block.first, frames);
			CHECK(((const double *)block.samples)[1] == -(double)frames);
			frames += block.frames;
		}
	}
	EXPECT(duoshm__server_over(server), 1);
	EXPECT(frames, 1500);
	EXPECT(duoshm_device_next(device, 0, &block), DUOSHM_ERR_END);
	end();
}

/* A capture of `arg` frames (0: to the end); each frame is there and in its place. */
static int capture_all(void *arg)
{
	uint64_t frames = (uintptr_t)arg, got = 0;
	struct duoshm_block block;
	int err;

	begin_client();
	EXPECT(duoshm_device_capture(device, frames, 10 * SECOND), 0);
	while ((err = duoshm_device_capture_next(device, 10 * SECOND, &block)) == 0) {
		EXPECT(block.first, got);
		EXPECT(block.missed, 0);
		for (unsigned i = 0; i < block.frames; i++)
			CHECK(((const double *)block.samples)[2 * i] == (double)(got + i));
		got += block.frames;
	}
	EXPECT(err, DUOSHM_ERR_END);
	EXPECT(got, frames ? frames : 50000);
	return end_client();
}

/* The device comes to it later, and is told that nobody waits for it any more. */
static int capture_again(void *helper)
{
	uint64_t frames = 0;
	struct duoshm_block block;

	begin_client();
	EXPECT(duoshm_device_capture(device, 0, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(helper_stays(helper), 0);
	OK(duoshm_device_capture(device, 777, 10 * SECOND));
	while (duoshm_device_capture_next(device, 10 * SECOND, &block) == 0)
		frames += block.frames;
	EXPECT(frames, 777);
	return end_client();
}

static void a_capture_that_was_given_up_is_over(void)
{
	struct helper client;

	if (is_cramped())
		return;
	begin("counter", "1kHz");
	start_helper(&client, capture_again, NULL, 0);
	step(SECOND);
	harness_gate_open(&client.go);
	serve(client.pid, SECOND / 100);
	harness_gate_close(&client.ready);
	harness_gate_close(&client.go);
	end();
}

/* It waits for the first capture, and begins again for one that comes after the end. */
static void captures_get_the_whole_replay(void)
{
	if (is_cramped())
		return;
	prepare("sine", "1kHz");
	write_recording(50000);
	setup.fast = 1;
	start();
	step(10 * SECOND);
	says("status", "waiting for a capture");
	serve(harness_fork(capture_all, NULL), 1000);
	says("status", "at the end of the replay");
	serve(harness_fork(capture_all, NULL), 1000);
	end();
}

static void a_capture_of_so_many_frames(void)
{
	if (is_cramped())
		return;
	prepare("sine", "1kHz");
	write_recording(50000);
	start();
	serve(harness_fork(capture_all, (void *)(intptr_t)777), SECOND / 100);
	end();
}

/* ---- clients ---- */

/* Steps until the child, a helper, has its lane. */
static void start_client(struct helper *helper, int (*fn)(void *helper))
{
	harness_gate(&helper->ready);
	harness_gate(&helper->go);
	helper->pid = harness_fork(fn, helper);
	while (integer_of("CLIENTS") < 1)
		step(MS);
}

/* Captures a counter, but reads nothing until the device has been held up. */
static int capture_slowly(void *helper)
{
	struct duoshm_block block;
	uint64_t next = 0;

	begin_client();
	EXPECT(duoshm_device_capture(device, 200000, 10 * SECOND), 0);
	EXPECT(helper_stays(helper), 0);
	for (unsigned got = 0; got < 200000; got += block.frames) {
		EXPECT(duoshm_device_capture_next(device, 10 * SECOND, &block), 0);
		CHECK(got == 0 || (block.first == next && block.missed == 0));
		next = block.first + block.frames;
		for (unsigned i = 0; i < block.frames; i++)
			EXPECT(((const int32_t *)block.samples)[i], (block.first + i) % 1024);
	}
	EXPECT(duoshm_device_capture_next(device, 10 * SECOND, &block), DUOSHM_ERR_END);
	return end_client();
}

static void a_slow_capture_holds_up_and_loses_nothing(void)
{
	struct helper helper;

	if (is_cramped())
		return;
	begin("counter", "100kHz");
	start_client(&helper, capture_slowly);
	for (int i = 0; i < 100; i++) /* virtual: ten seconds, a million frames */
		step(SECOND / 10);
	CHECK(harness_gate_pass(&helper.ready));
	for (int i = 0; i < 100; i++)
		step(SECOND / 10);
	int64_t frames = integer_of("FRAMES");
	CHECK(frames < 2000000);
	step(SECOND / 10);
	EXPECT(integer_of("FRAMES"), frames);      /* held */
	says("set PERIOD=1s", "New : PERIOD 1 s"); /* but awake */
	harness_gate_open(&helper.go);
	serve(helper.pid, 1000);
	CHECK(integer_of("LATE") > 0);
	helper.pid = 0;
	kill_helper(&helper);
	end();
}

static int give_commands(void *arg)
{
	struct duoshm_value value;
	char reply[DUOSHM_REPLY_SIZE];

	(void)arg;
	begin_client();
	unsigned period = (unsigned)duoshm_device_find(device, "period");
	EXPECT(duoshm_device_write(device, period, "250ms", 10 * SECOND), 0);
	EXPECT(duoshm_device_read(device, period, &value), 0);
	CHECK(value.real == 0.25 && value.alarm == DUOSHM_ALARM_NONE);
	EXPECT(duoshm_device_write(device, period, "-1", 10 * SECOND), DUOSHM_ERR_REFUSED);
	EXPECT_PART(duoshm_failure()->cause, "beyond its limits");
	EXPECT(duoshm_device_write(device, 0, "1", 10 * SECOND), DUOSHM_ERR_REFUSED);
	EXPECT(duoshm_device_write(device, 999, "1", 10 * SECOND), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_device_command(device, "set NO=1", NULL, 0, 10 * SECOND),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_device_command(device, "get PERIOD", reply, sizeof reply, 10 * SECOND), 0);
	EXPECT_TEXT(reply, "PERIOD 0.25 s");
	return end_client();
}

static void commands_are_acknowledged(void)
{
	if (is_cramped())
		return;
	begin("sine", "10Hz");
	serve(harness_fork(give_commands, NULL), 1000);
	step(SECOND);
	end();
}

static int count_lane(const struct duoshm_stat *object, void *arg)
{
	*(int *)arg += object->kind == DUOSHM_KIND_LANE;
	return 0;
}

static int lanes(void)
{
	int count = 0;

	EXPECT(duoshm_list(ctx, 0, count_lane, &count), 0);
	return count;
}

static const char *lane_name(unsigned tag)
{
	static char name[DUOSHM_NAME_SIZE];

	snprintf(name, sizeof name, "%s.%08x", harness_name("device"), tag);
	return name;
}

static int hold_a_lane(void *helper)
{
	begin_client();
	EXPECT(duoshm_device_capture(device, 0, 10 * SECOND), 0);
	return helper_stays(helper);
}

static void lanes_of_the_dead_are_removed(void)
{
	struct helper helper;

	if (is_cramped())
		return;
	begin("counter", "1kHz");
	start_client(&helper, hold_a_lane);
	step(SECOND / 10);
	CHECK(harness_gate_pass(&helper.ready));
	EXPECT(lanes(), 1);
	kill_helper(&helper);
	for (int i = 0; i < 1000 && lanes() > 0; i++)
		step(10 * SECOND);
	EXPECT(lanes(), 0);
	step(SECOND);
	EXPECT(integer_of("CLIENTS"), 0);
	end();
}

/* In a child: begins a lane, and gets as far as `flags` says. */
enum { NAMED, HALF_BUILT, PUBLISHED };
static int begin_a_lane(void *arg)
{
	struct helper *helper = arg;
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, DUOSHM__LANE_BELLS);
	struct duoshm_segment *lane = NULL;
	const char *name = lane_name(helper->flags);
	char path[600];

	begin_client();
	options.kind = DUOSHM_KIND_LANE;
	snprintf(path, sizeof path, "%s/%s@%s", duoshm_directory(ctx), name, harness_backend());
	if (helper->flags == NAMED)
		CHECK(close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0);
	else
		OK(duoshm_segment_create(ctx, name, duoshm__lane_bytes(), &options, &lane));
	if (helper->flags == PUBLISHED)
		OK(duoshm_segment_publish(lane));
	return helper_stays(helper);
}

static void lanes_are_removed_wherever_their_clients_died(void)
{
	struct helper helper;

	if (is_cramped())
		return;
	begin("counter", "10Hz");
	for (unsigned how = NAMED; how <= PUBLISHED; how++) {
		start_helper(&helper, begin_a_lane, NULL, how);
		kill_helper(&helper);
		EXPECT(harness_entries(duoshm_directory(ctx)), 2);
		for (int i = 0; i < 3; i++)
			step(SECOND);
		EXPECT(harness_entries(duoshm_directory(ctx)), 1);
	}
	end();
}

/* ---- another device in its place ---- */

static int serve_until_killed(void *helper)
{
	prepare("counter", "100Hz");
	CHECK_FATAL(duoshm__server_new(ctx, &setup, now, &server) >= 0);
	harness_gate_open(&((struct helper *)helper)->ready);
	while (!duoshm__server_over(server)) {
		duoshm__server_step(server, duoshm__now());
		duoshm__server_wait(server, MS);
	}
	return 0;
}

/* The connection leads to nobody, and none of its calls changes that. */
static void is_gone(int how)
{
	struct duoshm_block block;

	/* What it sent before comes first. */
	while (duoshm_device_next(device, LONG_TIME, &block) == 0)
		continue;
	EXPECT(duoshm_device_next(device, LONG_TIME, &block), how);
	EXPECT(duoshm_device_command(device, "status", NULL, 0, LONG_TIME), how);
	EXPECT(duoshm_device_check(device), how);
}

static void is_connected_again(void)
{
	struct duoshm_block block = {0};

	EXPECT(duoshm_device_next(device, 0, &block), DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_device_check(device), DUOSHM_REPLACED);
	EXPECT(duoshm_device_check(device), 0);
	EXPECT(duoshm_device_capture_next(device, 0, &block), DUOSHM_ERR_INVALID);
	step(SECOND);
	EXPECT(duoshm_device_next(device, LONG_TIME, &block), 0);
	CHECK(block.frames > 0 && block.missed == 0);
	EXPECT(lanes(), 0);
}

static void connections_go_over_to_the_next_device(void)
{
	struct helper first;
	struct duoshm_block block;

	if (is_cramped())
		return;
	start_helper(&first, serve_until_killed, NULL, 0);
	prepare("counter", "10Hz");
	connect_to_it();
	OK(duoshm_device_follow(device));
	OK(duoshm_device_capture(device, 0, LONG_TIME));
	OK(duoshm_device_next(device, LONG_TIME, &block));
	kill_helper(&first);
	while (duoshm_device_capture_next(device, LONG_TIME, &block) == 0)
		continue;
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_PEER_DEAD);
	is_gone(DUOSHM_ERR_PEER_DEAD);
	EXPECT_FATAL(duoshm__server_new(ctx, &setup, now, &server), DUOSHM_REPLACED);
	is_connected_again();
	EXPECT(duoshm__server_free(server), 0);
	is_gone(DUOSHM_ERR_REMOVED);
	EXPECT_FATAL(duoshm__server_new(ctx, &setup, now, &server), DUOSHM_CREATED);
	EXPECT(duoshm_device_check(device), DUOSHM_REPLACED);
	end();
}

/* Queues as they should be, in a lane that is for another run of the device. */
static void format_queues(struct duoshm_segment *lane)
{
	EXPECT(duoshm__lane_format(lane), 0);
	((struct duoshm__lane_header *)duoshm_segment_data(lane))->device_id ^= 1;
}

enum { NOTHING, HEADER, ALL_BUT_THE_ID };

/* A lane by hand; `fill` is what all bytes behind the header are. */
static void bad_lane(unsigned tag, size_t size, int header, int fill)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, DUOSHM__LANE_BELLS);
	struct duoshm_segment *lane = NULL;

	options.kind = DUOSHM_KIND_LANE;
	CHECK_FATAL(duoshm_segment_create(ctx, lane_name(tag), size, &options, &lane) >= 0);
	memset(duoshm_segment_data(lane), fill, size);
	if (header) {
		struct duoshm__lane_header *head = duoshm_segment_data(lane);
		struct duoshm_segment *view = open_segment(ctx, "device", DUOSHM_READ_ONLY);

		head->magic = DUOSHM__LANE_MAGIC;
		head->layout = DUOSHM__LANE_LAYOUT;
		/* the device's id is in its header */
		memcpy(&head->device_id, (char *)duoshm_segment_data(view) + 48, 8);
		end_segment(view);
	}
	if (header == ALL_BUT_THE_ID)
		format_queues(lane);
	EXPECT(duoshm_segment_publish(lane), 0);
	end_segment(lane);
}

static void bad_lanes_are_cut_off(void)
{
	size_t size = duoshm__lane_bytes();

	if (is_cramped())
		return;
	begin("counter", "10Hz");
	bad_lane(0, 64, NOTHING, 0);
	bad_lane(1, size, NOTHING, 0);
	bad_lane(2, size, HEADER, 0);
	bad_lane(3, size, HEADER, 0xff);
	bad_lane(4, size, HEADER, 0x40);
	bad_lane(5, size, ALL_BUT_THE_ID, 0);
	for (int i = 0; i < 5; i++)
		step(10 * SECOND);
	EXPECT(integer_of("CLIENTS"), 0);
	EXPECT(integer_of("FRAMES"), 501);
	serve(harness_fork(give_commands, NULL), 1000); /* others are served */
	for (unsigned i = 0; i < 6; i++)
		EXPECT(duoshm_remove(ctx, lane_name(i)), 0);
	step(10 * SECOND);
	end();
}

/* The samples do not wait for them. */
static void a_crowd_of_lanes_is_taken_up_bit_by_bit(void)
{
	/* macOS has 32 segments in all */
	unsigned crowd = harness_profile("macos-arm64") ? 24 : 40;

	if (is_cramped())
		return;
	begin("counter", "10Hz");
	for (unsigned i = 0; i < crowd; i++)
		bad_lane(i, 64, NOTHING, 0);
	step(10 * SECOND);
	CHECK(server->lanes.count > 0 && server->lanes.count < crowd);
	for (int i = 0; i < 3; i++)
		step(MS);
	EXPECT(server->lanes.count, crowd);
	for (unsigned i = 0; i < crowd; i++)
		EXPECT(duoshm_remove(ctx, lane_name(i)), 0);
	step(10 * SECOND);
	EXPECT(server->lanes.count, 0);
	end();
}

/* ---- other users ---- */

#define NOBODY 65534
#define MEMBER 77 /* a group that the device is of */

/* Who is not root, or has no room for lanes, cannot try it. */
static bool is_hindered(void)
{
	if (geteuid() != 0)
		harness_skip("only root can become somebody else");
	return geteuid() != 0 || is_cramped();
}

/* A registry for all users, with a device of root's and that mode. */
static void begin_shared(const char *mode, mode_t directory_mode)
{
	directory = harness_path("shared");
	EXPECT(chmod(harness_scratch_dir(), 0711), 0);
	OK(mkdir(directory, 0700));
	EXPECT(chown(directory, 0, directory_mode & S_ISGID ? MEMBER : 0), 0);
	EXPECT(chmod(directory, directory_mode), 0);
	umask(0);
	prepare("sine", "10Hz");
	EXPECT(duoshm__setup_set(&setup, "mode", mode), 0);
	EXPECT(setegid(MEMBER), 0);
	start();
	EXPECT(setegid(0), 0);
	step(0);
}

static void end_shared(void)
{
	EXPECT(lanes(), 0);
	end();
	umask(022);
	harness_remove_tree(directory);
	directory = NULL;
}

struct stranger {
	uid_t uid;
	gid_t gid;
	int wanted; /* what its calls give */
};

static int command_as(void *arg)
{
	const struct stranger *as = arg;

	OK(setgid(as->gid));
	OK(setuid(as->uid));
	begin_client();
	EXPECT(duoshm_device_command(device, "set PERIOD=5", NULL, 0, 10 * SECOND), as->wanted);
	EXPECT(duoshm_device_capture(device, 1, 10 * SECOND), as->wanted);
	if (as->wanted)
		EXPECT_PART(duoshm_failure()->cause, "this is user 65534, group ");
	return end_client();
}

static void commands_take_write_permission(void)
{
	static const struct {
		const char *mode;
		mode_t directory;
		int stranger, member;
	} all[] = {
		{"0644", 01777, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_PERMISSION},
		{"0664", 01777, DUOSHM_ERR_PERMISSION, 0},
		/* where the directory gives everybody its group, the group proves nothing */
		{"0664", 03777, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_PERMISSION},
		{"0666", 01777, 0, 0},
	};

	if (is_hindered())
		return;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct stranger stranger = {NOBODY, NOBODY, all[i].stranger};
		struct stranger member = {NOBODY, MEMBER, all[i].member};

		begin_shared(all[i].mode, all[i].directory);
		serve(harness_fork(command_as, &stranger), 1000);
		serve(harness_fork(command_as, &member), 1000);
		step(10 * SECOND);
		end_shared();
	}
}

/*
 * A lane as it should be with a command in it, made by hand: nobody asks this client whether it
 * may.
 */
static int command_by_hand(void *helper)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, DUOSHM__LANE_BELLS);
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES] = {0};
	struct duoshm__command exit = {.serial = 1, .op = DUOSHM__OP_LINE, .line = "exit"};
	struct duoshm_segment *lane = NULL, *view;
	uid_t uid = (uid_t)((struct helper *)helper)->number;

	OK(setgid(uid));
	OK(setuid(uid));
	begin_client();
	options.kind = DUOSHM_KIND_LANE;
	options.mode = 0666;
	OK(duoshm_segment_create(ctx, lane_name(7), duoshm__lane_bytes(), &options, &lane));
	view = open_segment(ctx, "device", DUOSHM_READ_ONLY);
	struct duoshm__lane_header *head = duoshm_segment_data(lane);
	head->magic = DUOSHM__LANE_MAGIC;
	head->layout = DUOSHM__LANE_LAYOUT;
	memcpy(&head->device_id, (char *)duoshm_segment_data(view) + 48, 8);
	end_segment(view);
	OK(duoshm__lane_format(lane));
	OK(duoshm__lane_attach(lane, DUOSHM_PRODUCER, queue));
	OK(duoshm_queue_send(queue[DUOSHM__COMMANDS], &exit,
		offsetof(struct duoshm__command, line) + strlen(exit.line), 0));
	OK(duoshm_segment_publish(lane));
	EXPECT(helper_stays(helper), 0);
	EXPECT(duoshm_remove(ctx, lane_name(7)), 0);
	duoshm__lane_detach(queue);
	end_segment(lane);
	return end_client();
}

static void lanes_of_strangers_are_left_alone(void)
{
	if (is_hindered())
		return;
	for (int as_root = 0; as_root < 2; as_root++) {
		struct helper helper = {.number = as_root ? 0 : NOBODY};

		begin_shared("0664", 01777);
		start_helper(&helper, command_by_hand, NULL, 0);
		for (int i = 0; i < 5; i++)
			step(10 * SECOND);
		EXPECT(duoshm__server_over(server), as_root);
		finish_helper(&helper);
		end_shared();
	}
}

static void removal_from_outside_is_noticed(void)
{
	begin("sine", "10Hz");
	discard(ctx, "device");
	step(10 * SECOND);
	EXPECT(duoshm__server_over(server), DUOSHM_ERR_REMOVED);
	end();
}

enum harm { ENTRY_DAMAGED, ENTRY_REMOVED, MEMORY_REMOVED, BELL_REMOVED, HARMS };

static void do_harm(enum harm harm, const struct duoshm_stat *stat)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s@%s", duoshm_directory(ctx), stat->name, stat->backend);
	if (harm == ENTRY_DAMAGED)
		EXPECT(truncate(path, 10), 0);
	if (harm == ENTRY_REMOVED)
		EXPECT(unlink(path), 0);
	snprintf(path, sizeof path, "%s.0", stat->native);
	if (harm == MEMORY_REMOVED && stat->id >= 0)
		EXPECT(shmctl((int)stat->id, IPC_RMID, NULL), 0);
	else if (harm == MEMORY_REMOVED)
		EXPECT(shm_unlink(stat->native), 0);
	if (harm == BELL_REMOVED && stat->bells_id >= 0)
		EXPECT(semctl((int)stat->bells_id, 0, IPC_RMID), 0);
	else if (harm == BELL_REMOVED)
		EXPECT(sem_unlink(path), 0);
}

static void its_end_leaves_nothing(void)
{
	for (enum harm harm = 0; harm < HARMS; harm++) {
		struct duoshm__bells *bells;
		struct duoshm__native_stat there;
		struct duoshm_failure why;

		begin("sine", "10Hz");
		const struct duoshm__backend *backend = server->segment->backend;
		struct duoshm__native native = server->segment->entry.native;
		struct duoshm_stat stat = stat_of(ctx, "device");
		do_harm(harm, &stat);
		EXPECT(duoshm_device_disconnect(device), 0);
		EXPECT(duoshm__server_free(server), 0);
		EXPECT(backend->stat(&native, &there, &why), DUOSHM_ERR_NOT_FOUND);
		EXPECT(backend->bells_open(&native, 1, &bells, &why), DUOSHM_ERR_NOT_FOUND);
		EXPECT(harness_entries(duoshm_directory(ctx)), 0);
		end_context(ctx);
	}
}

static const struct harness_case cases[] = {
	{"frames come in time", frames_come_in_time},
	{"followers get every frame or are told", followers_get_every_frame},
	{"commands", commands},
	{"the end is told", the_end_is_told},
	{"an end is no death", an_end_is_no_death},
	{"names that are taken or too long", names},
#ifdef HAVE_INIH
	{"registers that clash are told with their line",
		registers_that_clash_are_told_with_their_line},
#endif
	{"columns keep their units", columns_keep_their_units},
	{"a replay ends", a_replay_ends},
	{"captures get the whole replay, again and again", captures_get_the_whole_replay},
	{"a capture of so many frames", a_capture_of_so_many_frames},
	{"a capture that was given up is over", a_capture_that_was_given_up_is_over},
	{"a slow capture holds up and loses nothing", a_slow_capture_holds_up_and_loses_nothing},
	{"commands are acknowledged", commands_are_acknowledged},
	{"lanes of the dead are removed", lanes_of_the_dead_are_removed},
	{"lanes are removed wherever their clients died",
		lanes_are_removed_wherever_their_clients_died},
	{"connections go over to the next device", connections_go_over_to_the_next_device},
	{"bad lanes are cut off", bad_lanes_are_cut_off},
	{"a crowd of lanes is taken up bit by bit", a_crowd_of_lanes_is_taken_up_bit_by_bit},
	{"commands and captures take write permission", commands_take_write_permission},
	{"lanes of strangers are left alone", lanes_of_strangers_are_left_alone},
	{"removal from outside is noticed", removal_from_outside_is_noticed},
	{"its end leaves nothing, whatever was done to it", its_end_leaves_nothing},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "server", cases);
}
