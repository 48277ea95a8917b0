/* SPDX-License-Identifier: MIT */
/*
 * A process that writes random and plausible words over shared memory as fast as it can. Over each
 * kind of object, while calls are made with it: each comes to an end, with a result or an error that
 * is told. And over all that a device's client may write, while another client works: he notices
 * nothing.
 */
#include "config.h"

#include "core/clock.h"
#include "device/connection.h"
#include "device/server.h"
#include "fuzz/subjects.h"
#include "harness/fixture.h"

enum { WATCHDOG_SECONDS = 10, WORDS_AT_ONCE = 2000 };

/* Shared with the children. */
static struct {
	_Atomic bool over;
	_Atomic bool enough; /* of the bad client, who ends before the device */
	_Atomic bool quiet;  /* the bad client scribbles over memory of its own */
	_Atomic long words, calls, corrupt, trips, frames, lanes, longest_us;
} * all;

static int64_t a_while(void)
{
	return harness_scale(100, 500, 3000) * MS;
}

static void watch(void)
{
	alarm(WATCHDOG_SECONDS * (harness_instrumented() ? 5 : 1));
}

/* ---- scribbling ------------------------------------------------------------------------------ */

/*
 * Some thousand words of `memory`, then all of it as it was in `image`: where nothing makes sense
 * any more, nothing is tried either.
 */
static void scribble(uint64_t *memory, const void *image, size_t size)
{
	static uint64_t state = 88172645463325252u;
	volatile uint64_t *words = memory;
	size_t count = size / sizeof *memory;

	for (int i = 0; i < WORDS_AT_ONCE; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		/* The first words are headers and indices. */
		size_t among = state >> 60 < 12 && count > 400 ? 400 : count;
		size_t at = (size_t)(state >> 33) % among;
		switch (state >> 28 & 7) {
		case 0: words[at] = state; break;
		case 1: words[at] = state >> 40 & 0xfff; break;
		case 2: words[at] = words[(state >> 20) % count]; break;
		case 3: words[at] = words[at] + (state >> 50) - 8192; break;
		case 4: words[at] = UINT64_MAX << (state >> 50 & 63); break;
		case 5: words[at] = 0; break;
		default: words[at] = words[at] + 8; break;
		}
	}
	memcpy(memory, image, size);
	all->words += WORDS_AT_ONCE + (long)count;
}

static int scribble_over_object(void *helper)
{
	struct duoshm *ctx = new_context();
	struct duoshm_segment *segment;

	OK(duoshm_segment_open(ctx, harness_name("subject"), DUOSHM_ANY_KIND, LONG_TIME, &segment));
	size_t size = DUOSHM__HEADER_SIZE + duoshm_segment_size(segment);
	void *image = malloc(size);
	CHECK(image != NULL);
	memcpy(image, segment->header, size);
	harness_gate_open(&((struct helper *)helper)->ready);
	while (!all->over)
		scribble((uint64_t *)segment->header, image, size);
	free(image);
	EXPECT(duoshm_segment_close(segment), 0);
	return duoshm_free(ctx);
}

/* ---- each kind of object --------------------------------------------------------------------- */

/* After each call: how long it took. */
static void clock_in(void)
{
	static int64_t last;
	int64_t now = duoshm__now(), took_us = (now - last) / 1000;

	if (last != 0 && took_us > all->longest_us)
		all->longest_us = (long)took_us;
	last = now;
}

static int use_object(void *helper)
{
	struct duoshm *ctx = new_context();
	const struct subject *subject = subject_make(((struct helper *)helper)->stem, ctx);

	EXPECT(helper_stays(helper), 0);
	subject_between = clock_in;
	for (int64_t until = duoshm__now() + a_while(); duoshm__now() < until;) {
		watch();
		subject->use();
	}
	watch();
	all->calls += subject_calls;
	all->corrupt += subject_corrupt;
	all->over = true;
	subject_end();
	return duoshm_free(ctx);
}

/* The lane has a name of its own; what a device makes of it is the next case's. */
static void objects_are_scribbled_over(void)
{
	all = harness_shared(sizeof *all);
	for (const struct subject *subject = subjects; subject->name != NULL; subject++) {
		struct helper user, scribbler;

		if (strcmp(subject->name, "lane") == 0)
			continue;
		all->over = false;
		start_helper(&user, use_object, subject->name, 0);
		start_helper(&scribbler, scribble_over_object, NULL, 0);
		finish_helper(&user);
		all->over = true;
		finish_helper(&scribbler);
	}
	printf("%ld calls, %ld CORRUPT, the longest took %ld us ", all->calls, all->corrupt,
		all->longest_us);
	harness_proves(9, all->words * 8, "bytes scribbled");
	harness_proves(11, all->calls, "calls that came to an end");
}

/* ---- a device and its clients ---------------------------------------------------------------- */

static int serve(void *helper)
{
	static struct duoshm__setup setup;
	struct duoshm *ctx = new_context();
	struct duoshm__server *server;

	duoshm__setup_init(&setup);
	OK(duoshm__setup_set(&setup, "name", harness_name("device")));
	OK(duoshm__setup_set(&setup, "wave", "counter"));
	OK(duoshm__setup_set(&setup, "rate", "1kHz"));
	OK(duoshm__server_new(ctx, &setup, duoshm__now(), &server));
	harness_gate_open(&((struct helper *)helper)->ready);
	while (!all->over) {
		watch();
		duoshm__server_wait(server, duoshm__server_step(server, duoshm__now()));
	}
	OK(duoshm__server_free(server));
	return duoshm_free(ctx);
}

static struct duoshm_device *connect_to_it(struct duoshm *ctx)
{
	struct duoshm_device *device = NULL;

	OK(duoshm_device_connect(ctx, harness_name("device"), LONG_TIME, &device));
	return device;
}

/* Its last words, and the device serves the other client alone. */
static bool is_cut_off(struct duoshm_device *device)
{
	struct duoshm_value clients = {0};
	int index = duoshm_device_find(device, "CLIENTS");

	memset(duoshm_segment_data(device->lane), 0xff, duoshm_segment_size(device->lane));
	for (int64_t until = duoshm__now() + WATCHDOG_SECONDS * SECOND; duoshm__now() < until;) {
		OK(duoshm_device_read(device, (unsigned)index, &clients));
		if (clients.integer == 1 || all->over)
			return true;
		duoshm__pause(MS);
	}
	return false;
}

/* A lane is scribbled over for a while, then comes another one. */
static void spoil_a_lane(struct duoshm *ctx)
{
	struct duoshm_device *device = connect_to_it(ctx);

	if (duoshm_device_command(device, "status", NULL, 0, 5 * SECOND) == 0) {
		size_t size = duoshm_segment_size(device->lane);
		void *image = malloc(size), *own = malloc(size);
		bool quiet = all->quiet;

		CHECK(image != NULL && own != NULL);
		memcpy(image, duoshm_segment_data(device->lane), size);
		for (int64_t until = duoshm__now() + 20 * MS; duoshm__now() < until;)
			scribble(quiet ? own : duoshm_segment_data(device->lane), image, size);
		CHECK(quiet || is_cut_off(device));
		all->lanes += !quiet;
		free(image);
		free(own);
	}
	EXPECT(duoshm_device_disconnect(device), 0);
}

static int be_bad(void *helper)
{
	struct duoshm *ctx = new_context();

	harness_gate_open(&((struct helper *)helper)->ready);
	while (!all->enough)
		spoil_a_lane(ctx);
	return duoshm_free(ctx);
}

/* What came through the stream is a counter's, and complete, or told to be missing. */
static void take_blocks(struct duoshm_device *device, uint64_t *next)
{
	struct duoshm_block block;

	while (duoshm_device_next(device, 0, &block) == 0) {
		CHECK(*next == 0 || block.first == *next + block.missed);
		for (unsigned i = 0; i < block.frames; i++)
			EXPECT(((const int32_t *)block.samples)[i], (block.first + i) % 1024);
		*next = block.first + block.frames;
		all->frames += block.frames;
	}
}

/* Round trips for a while; how many. */
static long work(struct duoshm_device *device)
{
	uint64_t next = 0;
	long trips = 0;

	take_blocks(device, &next);
	next = 0;
	for (int64_t until = duoshm__now() + a_while() / 2; duoshm__now() < until; trips++) {
		char reply[DUOSHM_REPLY_SIZE];

		OK(duoshm_device_command(
			device, "get PERIOD", reply, sizeof reply, WATCHDOG_SECONDS * SECOND));
		EXPECT_TEXT(reply, "PERIOD 2 s");
		take_blocks(device, &next);
	}
	all->trips += trips;
	return trips;
}

static void one_clients_damage_is_its_own(void)
{
	struct helper device, bad;
	struct duoshm *ctx = new_context();
	long trips[2] = {0, 0};

	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for lanes");
	all = harness_shared(sizeof *all);
	start_helper(&device, serve, NULL, 0);
	struct duoshm_device *good = connect_to_it(ctx);
	EXPECT(duoshm_device_follow(good), 0);
	all->quiet = true;
	start_helper(&bad, be_bad, NULL, 0);
	/* In turns, for the machine has other things to do, too. */
	for (int i = 0; i < 8; i++) {
		all->quiet = i % 2 == 0;
		trips[i % 2] += work(good);
	}
	all->enough = true;
	finish_helper(&bad);
	all->over = true;
	finish_helper(&device);
	EXPECT(duoshm_device_disconnect(good), 0);
	CHECK(all->lanes > 0 && all->trips > 0);
	printf("%ld lanes spoilt, %ld frames, the other client at %ld %% of its rate ", all->lanes,
		all->frames, 100 * trips[1] / (trips[0] > 0 ? trips[0] : 1));
	harness_proves(13, all->trips, "round trips beside a bad client");
	end_context(ctx);
}

/* ---- what cannot be written ------------------------------------------------------------------ */

static int write_to_device(void *place)
{
	struct duoshm_device *device = connect_to_it(new_context());
	char *data = duoshm_segment_data(device->segment);

	OK(duoshm_device_command(device, "status", NULL, 0, LONG_TIME));
	OK(duoshm_device_follow(device));
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)(data + *(const size_t *)place) = 'w';
	return 0;
}

static void a_device_cannot_be_written_to(void)
{
	struct duoshm *ctx = new_context();
	struct helper server;
	long faults = 0;

	if (harness_profile("tiny-shm"))
		HARNESS_SKIP("no room for lanes");
	all = harness_shared(sizeof *all);
	start_helper(&server, serve, NULL, 0);
	struct duoshm_device *device = connect_to_it(ctx);
	const size_t places[] = {0, (size_t)device->head.descriptions_at,
		(size_t)device->head.table_at, (size_t)device->head.stream_at,
		(size_t)(device->head.stream_at + device->head.stream_bytes) - 1};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int result =
			harness_wait(harness_fork(write_to_device, (void *)(uintptr_t)&places[i]));
		CHECK(result == -SIGSEGV || result == -SIGBUS);
		faults += result < 0;
	}
	EXPECT(duoshm_device_disconnect(device), 0);
	all->over = true;
	finish_helper(&server);
	/* The lanes of those that a fault has ended, as far as the device has not seen them. */
	CHECK(duoshm_reclaim(ctx, 0, NULL, NULL) >= 0);
	harness_proves(14, faults, "writes that faulted");
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"objects are scribbled over", objects_are_scribbled_over},
	{"one client's damage is its own", one_clients_damage_is_its_own},
	{"a device cannot be written to by its clients", a_device_cannot_be_written_to},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "scribbler", cases);
}
