/* SPDX-License-Identifier: MIT */
/*
 * A device and its clients, one of whom dies, or stands still, at each of its points. The device
 * runs in real time; its two signals count frames alike, so that a sample tells which one it is,
 * and what was read at one moment is equal. A client does all that can be done with a device, in
 * sessions: each ends well, or with the device's death, and the next one is with its successor.
 */
#include "config.h"

#include "core/clock.h"
#include "device/server_state.h"
#include "duoshm/device.h"
#include "process/points.h"

#include <stdatomic.h>

#define BITS 24
#define MASK ((1 << BITS) - 1)
enum { A, B, OWN }; /* in the description; A and B are the first registers, too */

enum outcome { GOES_ON, DIED, ENDED };

/* Of a device. */
struct life {
	_Atomic pid_t pid; /* itself, and its last sign, and whether it has been published */
	_Atomic int64_t clock;
	_Atomic bool open;
	_Atomic int outcome; /* the conductor */
};
struct ledger {
	struct life life[POINTS_LIVES];
	_Atomic int64_t learnt; /* the client: the longest time until it learnt of a death */
	/* The client: commands that were begun, and done; samples that were right. */
	_Atomic uint64_t begun, done, samples;
};

static struct ledger *ledger;
static struct life *life; /* of the next device */
static struct duoshm__setup setup;
static long samples;

/* ---- the device ------------------------------------------------------------------------------ */

static void describe(unsigned index, const char *name, const char *wave)
{
	struct duoshm__register_setup *reg = &setup.reg[index];

	reg->about = duoshm__register_plain;
	snprintf(reg->about.name, sizeof(reg->about.name), "%s", name);
	snprintf(reg->wave, sizeof(reg->wave), "%s", wave);
	if (*wave == '\0') {
		reg->about.type = DUOSHM_TYPE_INTEGER;
		reg->about.writable = 1;
	}
	setup.registers = index + 1;
}

static void prepare(void)
{
	duoshm__setup_init(&setup);
	OK(duoshm__setup_set(&setup, "name", harness_name("device")));
	OK(duoshm__setup_set(&setup, "rate", "2kHz"));
	setup.bits = BITS;
	describe(A, "A", "counter");
	describe(B, "B", "counter");
	describe(OWN, "OWN", "");
}

static void be_device(void)
{
	struct duoshm__server *server = NULL;

	life->pid = getpid();
	life->clock = duoshm__now();
	CHECK_FATAL(duoshm__server_new(ctx, &setup, duoshm__now(), &server) >= 0);
	life->open = true;
	while (duoshm__server_over(server) == 0) {
		int64_t now = duoshm__now();

		life->clock = now;
		duoshm__server_wait(server, duoshm__server_step(server, now));
	}
	life->open = false;
	EXPECT(duoshm__server_over(server), 1);
	OK(duoshm__server_free(server));
	end_context(ctx);
}

/* ---- a client -------------------------------------------------------------------------------- */

static int64_t integer_of(struct duoshm_device *device, const char *name)
{
	struct duoshm_value value = {0};
	int index = duoshm_device_find(device, name);

	CHECK_FATAL(index >= 0);
	OK(duoshm_device_read(device, (unsigned)index, &value));
	return value.integer;
}

/* No wait, and no death of the device, can harm it. */
static void look(struct duoshm_device *device)
{
	struct duoshm_value two[2];

	OK(duoshm_device_snapshot(device, A, 2, two));
	EXPECT(two[A].integer, two[B].integer);
	EXPECT(two[A].t_sample_ns, two[B].t_sample_ns);
	CHECK((int64_t)two[A].real == two[A].integer);
	ledger->samples++;
}

static void check_block(const struct duoshm_block *block, uint64_t *next)
{
	const int32_t *sample = block->samples;

	CHECK(*next == 0 || block->first == *next);
	EXPECT(block->missed, 0);
	for (unsigned i = 0; i < block->frames; i++) {
		EXPECT(sample[2 * i], (block->first + i) & MASK);
		EXPECT(sample[2 * i + 1], (block->first + i) & MASK);
	}
	ledger->samples += block->frames;
	*next = block->first + block->frames;
}

/* 0, or why it was not acknowledged. */
static int noted(int result)
{
	ledger->done += result == 0;
	return result;
}

static int say(struct duoshm_device *device, const char *line)
{
	char reply[DUOSHM_REPLY_SIZE];

	ledger->begun++;
	return noted(duoshm_device_command(device, line, reply, sizeof(reply), DUOSHM_FOREVER));
}

static int write_own(struct duoshm_device *device, int value)
{
	int own = duoshm_device_find(device, "OWN");
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	ledger->begun++;
	int result = noted(duoshm_device_write(device, (unsigned)own, text, DUOSHM_FOREVER));
	if (result == 0)
		EXPECT(integer_of(device, "OWN"), value);
	return result;
}

static int take_capture(struct duoshm_device *device)
{
	struct duoshm_block block;
	uint64_t next = 0, frames = 0;

	ledger->begun++;
	int result = noted(duoshm_device_capture(device, 20, DUOSHM_FOREVER));
	if (result != 0)
		return result;
	while ((result = duoshm_device_capture_next(device, DUOSHM_FOREVER, &block)) == 0) {
		check_block(&block, &next);
		frames += block.frames;
	}
	if (result == DUOSHM_ERR_END)
		EXPECT(frames, 20);
	return result == DUOSHM_ERR_END ? 0 : result;
}

/* All but the end: 0, or what the device's death makes of it. */
static int use(struct duoshm_device *device)
{
	struct duoshm_block block;
	uint64_t next = 0;
	int result;

	OK(duoshm_device_follow(device));
	for (int i = 1; i <= 2; i++) {
		look(device);
		if ((result = write_own(device, i)) != 0)
			return result;
		if ((result = duoshm_device_next(device, DUOSHM_FOREVER, &block)) != 0)
			return result;
		/* Who stood still may be lapped. */
		if (block.missed == 0)
			check_block(&block, &next);
		else
			next = block.first + block.frames;
	}
	if ((result = take_capture(device)) != 0)
		return result;
	/* The answer to a line comes after the registers are shown. */
	return say(device, "status");
}

/* Ends the device; how it ended. */
static int end_device(struct duoshm_device *device)
{
	struct duoshm_block block;
	int result = say(device, "exit");

	while (result == 0)
		result = duoshm_device_next(device, DUOSHM_FOREVER, &block);
	return result;
}

static struct life *life_of(struct duoshm_device *device)
{
	struct duoshm_device_info info = DUOSHM_DEVICE_INFO_INIT;
	unsigned i = 0;

	OK(duoshm_device_info(device, &info));
	EXPECT_TEXT(info.name, harness_name("device"));
	while (i < POINTS_LIVES - 1 && ledger->life[i].pid != info.pid)
		i++;
	EXPECT(ledger->life[i].pid, info.pid);
	return &ledger->life[i];
}

static bool is_decided(void *arg)
{
	return ((struct life *)arg)->outcome != GOES_ON;
}

/* Told that the device is gone: that is true, and stays so; what it showed can still be read. */
static void learn(struct duoshm_device *device, int result)
{
	int64_t took = duoshm__now() - life->clock;

	/* Who dies after it has said that it ends, has ended. */
	if (result != DUOSHM_ERR_PEER_DEAD)
		EXPECT(result, DUOSHM_ERR_REMOVED);
	CHECK(harness_until(is_decided, life));
	if (life->outcome == ENDED)
		EXPECT(result, DUOSHM_ERR_REMOVED);
	look(device);
	if (life->outcome != DIED || result != DUOSHM_ERR_PEER_DEAD)
		return;
	ledger->learnt = took > ledger->learnt ? took : ledger->learnt;
	EXPECT(say(device, "status"), DUOSHM_ERR_PEER_DEAD);
}

/*
 * Until a device has ended well. A lane of the last connection stays while its successor works:
 * what was not taken from it is not done by another device.
 */
static void outlive(void)
{
	struct duoshm_device *device, *old = NULL;

	for (bool ends = false; !ends; old = device) {
		OK(duoshm_device_connect(ctx, harness_name("device"), LONG_TIME, &device));
		life = life_of(device);
		uint64_t done = ledger->done;
		int result = use(device);
		if (result == 0) {
			EXPECT(integer_of(device, "COMMANDS"), ledger->done - done);
			result = end_device(device);
		}
		learn(device, result);
		ends = life->outcome == ENDED;
		OK(duoshm_device_disconnect(old));
	}
	OK(duoshm_device_disconnect(old));
	end_context(ctx);
}

/* The one that is tried: it leaves the device running. */
static void visit(void)
{
	struct duoshm_device *device = NULL;

	OK(duoshm_device_connect(ctx, harness_name("device"), LONG_TIME, &device));
	OK(use(device));
	OK(duoshm_device_disconnect(device));
	end_context(ctx);
}

static bool is_alone(void *device)
{
	return count_kind(ctx, DUOSHM_KIND_LANE) == 0 && integer_of(device, "CLIENTS") == 0;
}

/* The last client, in a child: no lane of the dead is left, no command was done twice. */
static void close_down(void)
{
	struct duoshm_device *device = NULL;

	OK(duoshm_device_connect(ctx, harness_name("device"), LONG_TIME, &device));
	CHECK(harness_until(is_alone, device));
	uint64_t done = (uint64_t)integer_of(device, "COMMANDS");
	CHECK(done >= ledger->done && done <= ledger->begun);
	OK(use(device));
	EXPECT(end_device(device), DUOSHM_ERR_REMOVED);
	OK(duoshm_device_disconnect(device));
	end_context(ctx);
}

/* ---- plays ----------------------------------------------------------------------------------- */

/* A device that stands still is not dead: nobody takes its name, and what it showed is whole. */
static void device_stands_still(void)
{
	struct duoshm__server *other = NULL;
	struct duoshm_device *device = NULL;

	if (!life->open)
		return;
	EXPECT(duoshm__server_new(ctx, &setup, duoshm__now(), &other), DUOSHM_ERR_EXISTS);
	OK(duoshm_device_connect(ctx, harness_name("device"), 0, &device));
	look(device);
	EXPECT(duoshm_device_command(device, "status", NULL, 0, MS), DUOSHM_ERR_TIMEOUT);
	OK(duoshm_device_disconnect(device));
}

static pid_t begin_play(void (*other)(void))
{
	memset(ledger, 0, sizeof(*ledger));
	life = ledger->life;
	return points_start(NULL, other, INSTRUMENT_COUNT, 0);
}

static void end_play(pid_t other)
{
	EXPECT(harness_wait(other), 0);
	samples += (long)ledger->samples;
	points_learnt(ledger->learnt);
}

static unsigned play_device(const struct points_plan *plan)
{
	pid_t client = begin_play(outlive);
	unsigned came = 0;
	bool dies;

	do {
		life = &ledger->life[came];
		tried = points_start(NULL, be_device, plan->deed, plan->nth[came]);
		bool comes = points_end_of(plan->deed, device_stands_still);
		came += comes;
		dies = comes && plan->deed == INSTRUMENT_DIE;
		life->outcome = dies ? DIED : ENDED;
	} while (dies);
	end_play(client);
	return came;
}

static unsigned play_client(const struct points_plan *plan)
{
	pid_t device = begin_play(be_device);

	tried = points_start(NULL, visit, plan->deed, plan->nth[0]);
	bool came = points_end_of(plan->deed, NULL);
	EXPECT(harness_wait(points_start(NULL, close_down, INSTRUMENT_COUNT, 0)), 0);
	end_play(device);
	return came;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void begin(void)
{
	points_begin();
	prepare();
	ledger = ledger != NULL ? ledger : harness_shared(sizeof(*ledger));
	samples = 0;
}

static void try_each(points_play *play, const char *title, long stride)
{
	if (has_no_room_for_lanes())
		return;
	long deaths = points_each(title, play, INSTRUMENT_DIE, stride, 0);

	harness_proves(1, deaths, "deaths");
	harness_proves(2, samples, "samples");
	harness_proves(3, samples, "samples");
	harness_proves(4, deaths, "deaths");
	harness_proves(6, points_each(title, play, INSTRUMENT_STOP, 2 * stride - 1, 0), "stops");
}

static void device(void)
{
	try_each(play_device, "device", harness_scale(101, 71, 11));
}

static void client(void)
{
	try_each(play_client, "client", harness_scale(11, 7, 1));
}

static void successor(void)
{
	long stride = harness_scale(701, 503, 101);

	if (!has_no_room_for_lanes())
		harness_proves(5,
			points_each("devices", play_device, INSTRUMENT_DIE, stride, stride),
			"deaths of successors");
}

static const struct harness_case cases[] = {
	{"wherever a device dies or stands still, its clients know", device},
	{"wherever a client dies or stands still, the device goes on", client},
	{"wherever a device dies, its successor may die too", successor},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	harness_around(begin, points_end);
	return harness_run_each(argc, argv, "points of devices", cases);
}
