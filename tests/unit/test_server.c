/* SPDX-License-Identifier: MIT */
/*
 * The device as a whole, in virtual time, with clients in this process and in others; once per family.
 * A client that waits for an answer is a child; the parent steps the device until the child has ended.
 */
#include "config.h"

#include "core/clock.h"
#include "device/lane_layout.h"
#include "device/server.h"
#include "duoshm/device.h"
#include "harness/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SECOND INT64_C(1000000000)

static struct duoshm *ctx;
static struct duoshm__setup setup;
static struct duoshm__server *server;
static int64_t now;

static struct duoshm *make_context(void)
{
	struct duoshm_options options = DUOSHM_OPTIONS_INIT;
	struct duoshm *made = NULL;

	options.backend = harness_backend();
	return duoshm_new(&options, &made) < 0 ? NULL : made;
}

/* A client's lane does not fit beside a device in 64 KiB. */
static bool is_cramped(void)
{
	return harness_profile("tiny-shm") && strcmp(harness_backend(), "posix") == 0;
}

static void begin(const char *wave, const char *rate)
{
	ctx = make_context();
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	duoshm__setup_init(&setup);
	CU_ASSERT_EQUAL(duoshm__setup_set(&setup, "name", harness_name("device")), 0);
	CU_ASSERT_EQUAL(duoshm__setup_set(&setup, "wave", wave), 0);
	CU_ASSERT_EQUAL(duoshm__setup_set(&setup, "rate", rate), 0);
	now = duoshm__now();
}

static void start(void)
{
	int result = duoshm__server_new(ctx, &setup, now, &server);

	CU_ASSERT_FATAL(result >= 0);
}

static void end(void)
{
	duoshm__server_free(server);
	server = NULL;
	CU_ASSERT_EQUAL(duoshm_free(ctx), 0);
}

/* One step, after so much virtual time. */
static int64_t step(int64_t later)
{
	now += later;
	return duoshm__server_step(server, now);
}

static struct duoshm_device *connect_to(struct duoshm *from)
{
	struct duoshm_device *device = NULL;

	return duoshm_device_connect(from, harness_name("device"), 10 * SECOND, &device) < 0
		       ? NULL
		       : device;
}

static int64_t integer_of(struct duoshm_device *device, const char *name)
{
	struct duoshm_value value = {0};
	int index = duoshm_device_find(device, name);

	return index < 0 || duoshm_device_read(device, (unsigned)index, &value) < 0 ? -1
										    : value.integer;
}

static int said(const char *line, const char *wanted)
{
	char reply[DUOSHM_REPLY_SIZE];

	duoshm__server_command(server, line, reply);
	return strstr(reply, wanted) != NULL;
}

/* Steps the device, real time and a bit more of the virtual one, until the child ends. */
static void serve_child(pid_t child, int64_t later)
{
	int64_t until = duoshm__now() + 30 * SECOND;

	while (duoshm__now() < until) {
		siginfo_t info = {0};

		step(later);
		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid)
			break;
		duoshm__server_wait(server, 1000000);
	}
	CU_ASSERT_EQUAL(harness_wait(child), 0);
}

/* ---- alone ---- */

static void frames_come_in_time(void)
{
	struct duoshm_device *device;

	begin("counter", "10Hz");
	start();
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 0);
	CU_ASSERT(step(0) <= SECOND / 10);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 1);
	step(SECOND / 20);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 1);
	step(SECOND / 20);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 2);
	CU_ASSERT_EQUAL(integer_of(device, "VOLT"), 1);
	step(100 * SECOND); /* nothing is lost when nobody stepped for long */
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 1002);
	duoshm_device_disconnect(device);
	end();
}

static void followers_get_every_frame(void)
{
	struct duoshm_device *device;
	struct duoshm_format format;
	struct duoshm_block block;
	uint64_t next = 1;

	begin("counter", "1kHz");
	start();
	step(0);
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT_EQUAL(duoshm_device_format(device, &format), 0);
	CU_ASSERT_EQUAL(format.sample_type, DUOSHM_SAMPLE_INT32);
	CU_ASSERT(format.rate_hz == 1000 && format.bits == 10 && format.channels == 1);
	CU_ASSERT_EQUAL(duoshm_device_follow(device), 0);
	CU_ASSERT_EQUAL(duoshm_device_next(device, 0, &block), DUOSHM_ERR_TIMEOUT);
	for (int i = 0; i < 20; i++) {
		step(SECOND / 50);
		while (duoshm_device_next(device, 0, &block) == 0) {
			const int32_t *samples = block.samples;

			CU_ASSERT_EQUAL(block.first, next);
			CU_ASSERT_EQUAL(block.missed, 0);
			for (unsigned k = 0; k < block.frames; k++)
				CU_ASSERT_EQUAL(samples[k], (int32_t)((next + k) % 1024));
			next += block.frames;
		}
	}
	CU_ASSERT_EQUAL(next, 401);
	for (int i = 0; i < 10; i++) /* more than the stream holds; a step makes a block at least */
		step(6 * SECOND);
	CU_ASSERT_EQUAL(duoshm_device_next(device, 0, &block), 0);
	CU_ASSERT(block.missed > 0);
	CU_ASSERT_EQUAL(block.first, next + block.missed);
	duoshm_device_disconnect(device);
	end();
}

static void commands(void)
{
	struct duoshm_device *device;
	int64_t frames;

	begin("sine", "10Hz");
	start();
	step(0);
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT(said("set PERIOD=500ms", "Old : PERIOD 2 s\nNew : PERIOD 0.5 s"));
	CU_ASSERT(said("set period = 3", "New : PERIOD 3 s"));
	CU_ASSERT(said("set PERIOD=0", "beyond its limits"));
	CU_ASSERT(said("set PERIOD=1V", "not a number in s"));
	CU_ASSERT(said("set VOLT=1", "read-only"));
	CU_ASSERT(said("set NOSUCH=1", "no such register: NOSUCH"));
	CU_ASSERT(said("set PERIOD", "needs REG=VALUE"));
	CU_ASSERT(said("get PERIOD RATE", "PERIOD 3 s\nRATE 10 Hz"));
	CU_ASSERT(said("config square:period=4s", "VOLT square:period=4s"));
	CU_ASSERT(said("config sinus", "unknown wave"));
	CU_ASSERT(said("nonsense", "unknown command \"nonsense\""));
	CU_ASSERT(said("status", "running"));
	CU_ASSERT(said("help", "exit"));
	CU_ASSERT(said("  stop \n", "stopped"));
	frames = integer_of(device, "FRAMES");
	step(SECOND);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), frames);
	CU_ASSERT_EQUAL(integer_of(device, "RUN"), 0);
	CU_ASSERT(said("set RUN=on", "New : RUN on"));
	CU_ASSERT(said("set RATE=100", "New : RATE 100 Hz"));
	step(0);
	step(SECOND);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), frames + 101);
	CU_ASSERT_EQUAL(duoshm__server_over(server), 0);
	CU_ASSERT(said("exit", "bye"));
	CU_ASSERT_EQUAL(duoshm__server_over(server), 1);
	duoshm_device_disconnect(device);
	end();
}

static void the_end_is_told(void)
{
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	struct duoshm_device *device;
	struct duoshm_value value;
	struct duoshm_block block;

	begin("sine", "10Hz");
	start();
	step(0);
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT_EQUAL(duoshm_device_info(device, &info), 0);
	CU_ASSERT_EQUAL(info.pid, getpid());
	CU_ASSERT(info.running && info.alive == 1);
	CU_ASSERT_STRING_EQUAL(info.signal, "sine:period=2s:amp=1V");
	CU_ASSERT(info.heartbeat_age_ns >= 0 && info.heartbeat_age_ns < 60 * SECOND);
	CU_ASSERT_EQUAL(duoshm_device_follow(device), 0);
	CU_ASSERT_EQUAL(duoshm_device_check(device), 0);
	duoshm__server_free(server);
	server = NULL;
	CU_ASSERT_EQUAL(duoshm_device_check(device), DUOSHM_ERR_REMOVED);
	CU_ASSERT(duoshm_device_next(device, SECOND, &block) == DUOSHM_ERR_REMOVED);
	CU_ASSERT_EQUAL(duoshm_device_read(device, 0, &value), 0); /* its last values stay */
	duoshm_device_disconnect(device);
	end();
}

static void names(void)
{
	struct duoshm__server *second = NULL;
	char name[64];

	begin("sine", "10Hz");
	start();
	CU_ASSERT_EQUAL(duoshm__server_new(ctx, &setup, now, &second), DUOSHM_ERR_EXISTS);
	memset(name, 'x', 49);
	name[49] = '\0';
	CU_ASSERT_EQUAL(duoshm__setup_set(&setup, "name", name), 0);
	CU_ASSERT_EQUAL(duoshm__server_new(ctx, &setup, now, &second), DUOSHM_ERR_NAME);
	CU_ASSERT_PTR_NULL(second);
	end();
}

/* ---- replay ---- */

static void write_recording(int frames)
{
	FILE *file = fopen(harness_path("recording.csv"), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (int i = 0; i < frames; i++)
		fprintf(file, "%d,%d\n", i, -i);
	fclose(file);
	CU_ASSERT_EQUAL(duoshm__setup_set(&setup, "replay", harness_path("recording.csv")), 0);
}

static void a_replay_ends(void)
{
	struct duoshm_device *device;
	struct duoshm_block block = {0};
	unsigned frames = 0;

	begin("sine", "1kHz");
	write_recording(1500);
	setup.start_now = setup.once = 1;
	start();
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT_EQUAL(duoshm_device_follow(device), 0);
	for (int i = 0; i < 400 && !duoshm__server_over(server); i++) {
		step(SECOND / 100);
		while (duoshm_device_next(device, 0, &block) == 0) {
			CU_ASSERT_EQUAL(block.first, frames);
			CU_ASSERT_EQUAL(((const double *)block.samples)[1], -(double)frames);
			frames += block.frames;
		}
	}
	CU_ASSERT_EQUAL(duoshm__server_over(server), 1);
	CU_ASSERT_EQUAL(frames, 1500);
	CU_ASSERT_EQUAL(duoshm_device_next(device, 0, &block), DUOSHM_ERR_END);
	duoshm_device_disconnect(device);
	end();
}

/* A capture of `arg` frames (0: to the end); each frame is there and in its place. */
static int capture_all(void *arg)
{
	long frames = (long)(intptr_t)arg, got = 0;
	struct duoshm *mine = make_context();
	struct duoshm_device *device = connect_to(mine);
	struct duoshm_block block;
	int err;

	HARNESS_CHILD(device != NULL);
	HARNESS_CHILD(duoshm_device_capture(device, (uint64_t)frames, 10 * SECOND) == 0);
	while ((err = duoshm_device_capture_next(device, 10 * SECOND, &block)) == 0) {
		HARNESS_CHILD(block.first == (uint64_t)got && block.missed == 0);
		for (unsigned i = 0; i < block.frames; i++)
			HARNESS_CHILD(
				((const double *)block.samples)[2 * i] == (double)(got + (long)i));
		got += (long)block.frames;
	}
	HARNESS_CHILD(err == DUOSHM_ERR_END);
	HARNESS_CHILD(got == (frames ? frames : 50000));
	HARNESS_CHILD(duoshm_device_disconnect(device) == 0);
	HARNESS_CHILD(duoshm_free(mine) == 0);
	return 0;
}

/* It waits for the first capture, and begins again for one that comes after the end. */
static void captures_get_the_whole_replay(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	begin("sine", "1kHz");
	write_recording(50000);
	setup.fast = 1;
	start();
	step(10 * SECOND);
	CU_ASSERT(said("status", "waiting for a capture"));
	serve_child(harness_fork(capture_all, NULL), 1000);
	CU_ASSERT(said("status", "at the end of the replay"));
	serve_child(harness_fork(capture_all, NULL), 1000);
	end();
}

static void a_capture_of_so_many_frames(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	begin("sine", "1kHz");
	write_recording(50000);
	start();
	serve_child(harness_fork(capture_all, (void *)(intptr_t)777), SECOND / 100);
	end();
}

/* ---- clients ---- */

static struct harness_gate slow_begun, slow_on;

/* Captures a counter, but reads nothing until the device has been held up. */
static int capture_slowly(void *arg)
{
	struct duoshm *mine = make_context();
	struct duoshm_device *device = connect_to(mine);
	struct duoshm_block block;
	uint64_t next = 0;

	(void)arg;
	HARNESS_CHILD(device != NULL);
	HARNESS_CHILD(duoshm_device_capture(device, 200000, 10 * SECOND) == 0);
	harness_gate_open(&slow_begun);
	HARNESS_CHILD(harness_gate_pass(&slow_on));
	for (unsigned got = 0; got < 200000; got += block.frames) {
		HARNESS_CHILD(duoshm_device_capture_next(device, 10 * SECOND, &block) == 0);
		HARNESS_CHILD(got == 0 || (block.first == next && block.missed == 0));
		next = block.first + block.frames;
		for (unsigned i = 0; i < block.frames; i++)
			HARNESS_CHILD(((const int32_t *)block.samples)[i] ==
				      (int32_t)((block.first + i) % 1024));
	}
	HARNESS_CHILD(duoshm_device_capture_next(device, 10 * SECOND, &block) == DUOSHM_ERR_END);
	duoshm_device_disconnect(device);
	return duoshm_free(mine) < 0;
}

static void a_slow_capture_holds_up_and_loses_nothing(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	struct duoshm_device *device;
	pid_t child;
	int64_t frames;

	begin("counter", "100kHz");
	start();
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	harness_gate(&slow_begun);
	harness_gate(&slow_on);
	child = harness_fork(capture_slowly, NULL);
	while (integer_of(device, "CLIENTS") < 1)
		step(1000000);
	for (int i = 0; i < 100; i++) /* virtual: ten seconds, a million frames */
		step(SECOND / 10);
	CU_ASSERT(harness_gate_pass(&slow_begun));
	for (int i = 0; i < 100; i++)
		step(SECOND / 10);
	frames = integer_of(device, "FRAMES");
	CU_ASSERT(frames < 2000000);
	step(SECOND / 10);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), frames); /* held */
	CU_ASSERT(said("set PERIOD=1s", "New : PERIOD 1 s"));  /* but awake */
	harness_gate_open(&slow_on);
	serve_child(child, 1000);
	CU_ASSERT(integer_of(device, "LATE") > 0);
	duoshm_device_disconnect(device);
	end();
	harness_gate_close(&slow_begun);
	harness_gate_close(&slow_on);
}

static int give_commands(void *arg)
{
	struct duoshm *mine = make_context();
	struct duoshm_device *device = connect_to(mine);
	struct duoshm_value value;
	char reply[DUOSHM_REPLY_SIZE];
	unsigned period;

	(void)arg;
	HARNESS_CHILD(device != NULL);
	period = (unsigned)duoshm_device_find(device, "period");
	HARNESS_CHILD(duoshm_device_write(device, period, "250ms", 10 * SECOND) == 0);
	HARNESS_CHILD(duoshm_device_read(device, period, &value) == 0);
	HARNESS_CHILD(value.real == 0.25 && value.alarm == DUOSHM_ALARM_NONE);
	HARNESS_CHILD(duoshm_device_write(device, period, "-1", 10 * SECOND) == DUOSHM_ERR_REFUSED);
	HARNESS_CHILD(strstr(duoshm_failure()->cause, "beyond its limits") != NULL);
	HARNESS_CHILD(duoshm_device_write(device, 0, "1", 10 * SECOND) == DUOSHM_ERR_REFUSED);
	HARNESS_CHILD(duoshm_device_write(device, 999, "1", 10 * SECOND) == DUOSHM_ERR_NOT_FOUND);
	HARNESS_CHILD(duoshm_device_command(device, "set NO=1", NULL, 0, 10 * SECOND) ==
		      DUOSHM_ERR_NOT_FOUND);
	HARNESS_CHILD(
		duoshm_device_command(device, "get PERIOD", reply, sizeof reply, 10 * SECOND) == 0);
	HARNESS_CHILD(strcmp(reply, "PERIOD 0.25 s") == 0);
	duoshm_device_disconnect(device);
	return duoshm_free(mine) < 0;
}

static void commands_are_acknowledged(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	begin("sine", "10Hz");
	start();
	serve_child(harness_fork(give_commands, NULL), 1000);
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

	duoshm_list(ctx, 0, count_lane, &count);
	return count;
}

static int hold_a_lane(void *arg)
{
	struct duoshm *mine = make_context();
	struct duoshm_device *device = connect_to(mine);

	(void)arg;
	HARNESS_CHILD(device != NULL);
	HARNESS_CHILD(duoshm_device_capture(device, 0, 10 * SECOND) == 0);
	harness_gate_open(&slow_begun);
	for (;;)
		pause();
}

static void lanes_of_the_dead_are_removed(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	struct duoshm_device *device;
	pid_t child;

	begin("counter", "1kHz");
	start();
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	harness_gate(&slow_begun);
	child = harness_fork(hold_a_lane, NULL);
	while (integer_of(device, "CLIENTS") < 1)
		step(1000000);
	step(SECOND / 10);
	CU_ASSERT(harness_gate_pass(&slow_begun));
	CU_ASSERT_EQUAL(lanes(), 1);
	harness_kill(child);
	for (int i = 0; i < 1000 && lanes() > 0; i++)
		step(10 * SECOND);
	CU_ASSERT_EQUAL(lanes(), 0);
	step(SECOND);
	CU_ASSERT_EQUAL(integer_of(device, "CLIENTS"), 0);
	duoshm_device_disconnect(device);
	end();
	harness_gate_close(&slow_begun);
}

/* Queues as they should be, in a lane that is for another run of the device. */
static void format_queues(struct duoshm_segment *lane)
{
	CU_ASSERT_EQUAL(duoshm__lane_format(lane), 0);
	((struct duoshm__lane_header *)duoshm_segment_data(lane))->device_id ^= 1;
}

enum { NOTHING, HEADER, ALL_BUT_THE_ID };

/* A lane by hand; `fill` is what all bytes behind the header are. */
static void bad_lane(unsigned tag, size_t size, int header, int fill)
{
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	struct duoshm_segment *lane = NULL;
	char name[DUOSHM_NAME_SIZE];

	options.kind = DUOSHM_KIND_LANE;
	options.bells = DUOSHM__LANE_BELLS;
	options.flags = DUOSHM_UNPUBLISHED;
	snprintf(name, sizeof name, "%s.%08x", harness_name("device"), tag);
	CU_ASSERT_FATAL(duoshm_segment_create(ctx, name, size, &options, &lane) >= 0);
	memset(duoshm_segment_data(lane), fill, size);
	if (header) {
		struct duoshm__lane_header *head = duoshm_segment_data(lane);
		struct duoshm_segment *device = NULL;

		head->magic = DUOSHM__LANE_MAGIC;
		head->layout = DUOSHM__LANE_LAYOUT;
		CU_ASSERT_EQUAL_FATAL(duoshm_segment_open(ctx, harness_name("device"),
					      DUOSHM_READ_ONLY, 0, &device),
			0);
		/* the device's id is in its header */
		memcpy(&head->device_id, (char *)duoshm_segment_data(device) + 48, 8);
		duoshm_segment_close(device);
	}
	if (header == ALL_BUT_THE_ID)
		format_queues(lane);
	CU_ASSERT_EQUAL(duoshm_segment_publish(lane), 0);
	CU_ASSERT_EQUAL(duoshm_segment_close(lane), 0);
}

static void bad_lanes_are_cut_off(void)
{
	if (is_cramped())
		HARNESS_SKIP("no room for lanes");
	char name[DUOSHM_NAME_SIZE];
	struct duoshm_device *device;
	size_t size = duoshm__lane_bytes();

	begin("counter", "10Hz");
	start();
	step(0);
	bad_lane(0, 64, NOTHING, 0);
	bad_lane(1, size, NOTHING, 0);
	bad_lane(2, size, HEADER, 0);
	bad_lane(3, size, HEADER, 0xff);
	bad_lane(4, size, HEADER, 0x40);
	bad_lane(5, size, ALL_BUT_THE_ID, 0);
	for (int i = 0; i < 5; i++)
		step(10 * SECOND);
	device = connect_to(ctx);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device);
	CU_ASSERT_EQUAL(integer_of(device, "CLIENTS"), 0);
	CU_ASSERT_EQUAL(integer_of(device, "FRAMES"), 501);
	duoshm_device_disconnect(
		device); /* before the fork: a leak checker would look at the child */
	serve_child(harness_fork(give_commands, NULL), 1000); /* others are served */
	for (unsigned i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "%s.%08x", harness_name("device"), i);
		CU_ASSERT_EQUAL(duoshm_remove(ctx, name), 0);
	}
	step(10 * SECOND);
	end();
}

static void removal_from_outside_is_noticed(void)
{
	begin("sine", "10Hz");
	start();
	step(0);
	CU_ASSERT_EQUAL(duoshm_remove(ctx, harness_name("device")), 0);
	step(10 * SECOND);
	CU_ASSERT_EQUAL(duoshm__server_over(server), DUOSHM_ERR_REMOVED);
	end();
}

static const struct harness_case cases[] = {
	{"frames come in time", frames_come_in_time},
	{"followers get every frame or are told", followers_get_every_frame},
	{"commands", commands},
	{"the end is told", the_end_is_told},
	{"names that are taken or too long", names},
	{"a replay ends", a_replay_ends},
	{"captures get the whole replay, again and again", captures_get_the_whole_replay},
	{"a capture of so many frames", a_capture_of_so_many_frames},
	{"a slow capture holds up and loses nothing", a_slow_capture_holds_up_and_loses_nothing},
	{"commands are acknowledged", commands_are_acknowledged},
	{"lanes of the dead are removed", lanes_of_the_dead_are_removed},
	{"bad lanes are cut off", bad_lanes_are_cut_off},
	{"removal from outside is noticed", removal_from_outside_is_noticed},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "server", cases);
}
