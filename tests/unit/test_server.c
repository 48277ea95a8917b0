/* SPDX-License-Identifier: MIT */
/*
 * The device as a whole, in virtual time, once per family: its signal, its commands, its replay and
 * captures of it, its end. Its lanes and who may use them are test_lanes's.
 */
#include "config.h"

#include "core/object.h"
#include "unit/served.h"

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
	{"set PERIO=1", "no such register: PERIO"},
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

static void commands(void)
{
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
	CHECK(new_server() >= 0);
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

/* Registers of a description, or of a recording. */
static void names_that_clash_are_told_with_their_place(void)
{
	static const struct {
		const char *file, *text, *why;
	} all[] = {
		{"some.csv", "a (V),a (V)\n1,2\n", "some.csv: two registers are named A"},
		{"some.csv", "rate\n1\n", "some.csv: two registers are named RATE"},
#ifdef HAVE_INIH
		{"some.ini", "[register A]\n[register RATE]\nunit = V\n",
			"some.ini:3: two registers are named RATE"},
		{"some.ini", "[register PERIOD]\nwave = dc\n",
			"some.ini:2: two registers are named PERIOD"},
#endif
	};

	ctx = new_context();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		const char *path = harness_path(all[i].file);

		harness_write_text(path, all[i].text);
		duoshm__setup_init(&setup);
		OK(strcmp(all[i].file, "some.csv") == 0 ? duoshm__setup_set(&setup, "replay", path)
							: duoshm__setup_read(&setup, path));
		EXPECT(new_server(), DUOSHM_ERR_INVALID);
		EXPECT_PART(duoshm_failure()->cause, all[i].why);
	}
	end_context(ctx);
}

#ifdef HAVE_INIH
static void waves_are_counted(void)
{
	char text[65 * 32] = "";

	ctx = new_context();
	for (int i = 0; i < 65; i++)
		snprintf(text + strlen(text), 32, "[register R%d]\nwave = dc\n", i);
	harness_write_text(harness_path("many.ini"), text);
	duoshm__setup_init(&setup);
	OK(duoshm__setup_read(&setup, harness_path("many.ini")));
	EXPECT(new_server(), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "many.ini:130: more than 64 registers have waves");
	end_context(ctx);
}
#endif

/* ---- replay ---- */

static void columns_keep_their_units(void)
{
	static const char *const units[] = {"V", "A", "V"};
	struct duoshm_register about;
	struct duoshm_format format;

	if (has_no_room_for_lanes())
		return;
	prepare("sine", "1kHz");
	harness_write_text(harness_path("columns.csv"), "a (V),b (A),c (V)\n1,2,3\n");
	EXPECT(duoshm__setup_set(&setup, "replay", harness_path("columns.csv")), 0);
	start();
	says("status", "waiting for a capture");
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(duoshm_device_describe(device, i, &about), 0);
		EXPECT_TEXT(about.unit, units[i]);
	}
	EXPECT(duoshm_device_format(device, &format), 0);
	EXPECT_TEXT(format.unit, "");
	end();
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
	says("status", "at the end of the replay");
	EXPECT(frames, 1500);
	EXPECT(duoshm_device_next(device, 0, &block), DUOSHM_ERR_END);
	end();
}

/* The device comes to it later, and is told that nobody waits for it any more. */
static int capture_again(void *helper)
{
	uint64_t frames = 0, first = 0;
	struct duoshm_block block;
	int err;

	begin_client();
	/* More than can stay unanswered; what is asked last waits for the replies before. */
	for (int i = 0; i < 500; i++)
		EXPECT(duoshm_device_capture(device, 0, 0), DUOSHM_ERR_TIMEOUT);
	EXPECT(helper_stays(helper), 0);
	OK(duoshm_device_capture(device, 777, 10 * SECOND));
	while ((err = duoshm_device_capture_next(device, 10 * SECOND, &block)) == 0) {
		if (frames == 0)
			first = block.first;
		EXPECT(block.first, first + frames);
		frames += block.frames;
	}
	EXPECT(err, DUOSHM_ERR_END);
	EXPECT(frames, 777);
	return end_client();
}

static void a_capture_that_was_given_up_is_over(void)
{
	struct helper client;

	if (has_no_room_for_lanes())
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

	if (has_no_room_for_lanes())
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

/* Whatever became of its entry. */
static void its_end_leaves_nothing(void)
{
	for (int damaged = 0; damaged < 2; damaged++) {
		struct duoshm__native_stat there;
		struct duoshm_failure why;

		begin("sine", "10Hz");
		const struct duoshm__backend *backend = server->segment->backend;
		struct duoshm__native native = server->segment->entry.native;
		const char *entry = server->segment->creation.path;
		EXPECT(damaged ? truncate(entry, 10) : unlink(entry), 0);
		EXPECT(duoshm_device_disconnect(device), 0);
		EXPECT(duoshm__server_free(server), 0);
		EXPECT(backend->stat(&native, &there, &why), DUOSHM_ERR_NOT_FOUND);
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
	{"names that clash are told with their place", names_that_clash_are_told_with_their_place},
#ifdef HAVE_INIH
	{"waves are counted", waves_are_counted},
#endif
	{"columns keep their units", columns_keep_their_units},
	{"a replay ends", a_replay_ends},
	{"a capture that was given up is over", a_capture_that_was_given_up_is_over},
	{"a slow capture holds up and loses nothing", a_slow_capture_holds_up_and_loses_nothing},
	{"its end leaves nothing", its_end_leaves_nothing},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "server", cases);
}
