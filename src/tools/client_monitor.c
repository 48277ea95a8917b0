/* SPDX-License-Identifier: MIT */
/*
 * The client's monitor, and the line a second that it prints without a verb.
 *
 * A register that is a channel of the sample stream is followed in the stream, each sample of it,
 * and what was missed is told on standard error. Any other register is looked at every few
 * milliseconds; its sequence tells of updates in between. The stream carries numbers only: value
 * and alarm are worked out here from the description that the device gives of itself.
 */
#include "config.h"

#include "tools/client.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SLICE_NS 20000000LL

struct watched {
	unsigned index;
	struct duoshm_register reg;
	struct duoshm_value first;
	int channel; /* in the stream, or -1 */
	uint64_t sequence, missed;
};

struct monitor {
	struct duoshm_device *device;
	struct duoshm_format format;
	struct watched *watched;
	size_t count;
	int streams; /* some are channels */
	int follows;
	uint64_t events;
	int64_t begun, last_event; /* monotonic */
	int status;
};

/* When it ends if nothing more comes. */
static int64_t end_of(const struct monitor *monitor)
{
	int64_t end = INT64_MAX;

	if (client.duration_ns)
		end = monitor->begun + client.duration_ns;
	if (client.idle_ns && monitor->last_event + client.idle_ns < end)
		end = monitor->last_event + client.idle_ns;
	return end;
}

static int enough(const struct monitor *monitor)
{
	return tool_stop || (client.events && monitor->events >= client.events) ||
	       tool_now() >= end_of(monitor);
}

static void show(
	struct monitor *monitor, const struct watched *watched, const struct duoshm_value *value)
{
	if (client.events && monitor->events >= client.events)
		return;
	client_show(&watched->reg, value, 1);
	monitor->events++;
	monitor->last_event = tool_now();
}

/* ---- what is watched ---- */

static int channel_of(const struct monitor *monitor, const char *name)
{
	for (unsigned i = 0; i < monitor->format.channels; i++) {
		if (strcasecmp(monitor->format.names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

static void watch(struct monitor *monitor, const char *name)
{
	struct watched *watched = &monitor->watched[monitor->count];
	int status = client_look_up(
		monitor->device, name, &watched->index, &watched->reg, &watched->first);

	monitor->status = client_worse(monitor->status, status);
	if (status != TOOL_DONE)
		return;
	watched->channel = channel_of(monitor, watched->reg.name);
	watched->sequence = watched->first.sequence;
	monitor->streams |= watched->channel >= 0;
	monitor->count++;
}

/* Without names: the channels. */
static void watch_all(struct monitor *monitor, char **names)
{
	size_t count = 0;

	while (names[count])
		count++;
	monitor->watched =
		tool_allocate(count ? count : monitor->format.channels, sizeof *monitor->watched);
	for (size_t i = 0; i < count; i++)
		watch(monitor, names[i]);
	for (unsigned i = 0; !count && i < monitor->format.channels; i++)
		watch(monitor, monitor->format.names[i]);
}

static void show_banner(const struct monitor *monitor)
{
	FILE *where = tool.json ? stderr : stdout;

	fprintf(where, "Monitoring %s:", client.name);
	for (size_t i = 0; i < monitor->count; i++)
		fprintf(where, " %s", monitor->watched[i].reg.name);
	fputc('\n', where);
}

/* ---- the stream ---- */

/* A limit that is not there is NAN, and every comparison with it false. */
static int alarm_of(const struct duoshm_register *reg, double value)
{
	return !isfinite(value)           ? DUOSHM_ALARM_READ
	       : value >= reg->hihi       ? DUOSHM_ALARM_HIHI
	       : value <= reg->lolo       ? DUOSHM_ALARM_LOLO
	       : value >= reg->high_alarm ? DUOSHM_ALARM_HIGH
	       : value <= reg->low_alarm  ? DUOSHM_ALARM_LOW
					  : DUOSHM_ALARM_NONE;
}

static int severity_of(int alarm)
{
	return alarm == DUOSHM_ALARM_NONE                                 ? DUOSHM_NO_ALARM
	       : alarm == DUOSHM_ALARM_READ                               ? DUOSHM_INVALID
	       : alarm == DUOSHM_ALARM_HIHI || alarm == DUOSHM_ALARM_LOLO ? DUOSHM_MAJOR
									  : DUOSHM_MINOR;
}

static void sample_value(const struct monitor *monitor, const struct watched *watched,
	const struct duoshm_block *block, unsigned frame, struct duoshm_value *value)
{
	const struct duoshm_format *format = &monitor->format;
	size_t at = (size_t)frame * format->channels + (size_t)watched->channel;

	*value = (struct duoshm_value){.type = DUOSHM_TYPE_REAL, .sequence = block->first + frame};
	if (format->sample_type == DUOSHM_SAMPLE_INT32)
		value->integer = ((const int32_t *)block->samples)[at];
	value->real = client_sample(format, block, at);
	value->t_sample_ns = client_sample_time(format, block, frame);
	value->alarm = alarm_of(&watched->reg, value->real);
	value->severity = severity_of(value->alarm);
}

static void show_block(struct monitor *monitor, const struct duoshm_block *block)
{
	struct duoshm_value value;

	if (block->missed)
		tool_error("%s: missed %" PRIu64 " sample%s before number %" PRIu64, client.name,
			block->missed, tool_plural(block->missed), block->first);
	for (unsigned frame = 0; frame < block->frames && !enough(monitor); frame++) {
		for (size_t i = 0; i < monitor->count; i++) {
			if (monitor->watched[i].channel < 0)
				continue;
			sample_value(monitor, &monitor->watched[i], block, frame, &value);
			show(monitor, &monitor->watched[i], &value);
		}
	}
}

/* Waits for samples, or as long as a slice. 0, or what ends the monitor. */
static int take_stream(struct monitor *monitor)
{
	struct duoshm_block block;
	int code;

	if (!monitor->streams) {
		tool_pause(SLICE_NS);
		return client_check(monitor->device);
	}
	code = duoshm_device_next(monitor->device, SLICE_NS, &block);
	if (code == DUOSHM_ERR_TIMEOUT || code == DUOSHM_ERR_INTERRUPTED)
		return client_check(monitor->device);
	if (code >= 0)
		show_block(monitor, &block);
	return code;
}

/* ---- registers beside the stream ---- */

static int take_registers(struct monitor *monitor)
{
	struct duoshm_value value;

	for (size_t i = 0; i < monitor->count; i++) {
		struct watched *watched = &monitor->watched[i];
		int code;

		if (watched->channel >= 0)
			continue;
		code = duoshm_device_read(monitor->device, watched->index, &value);
		if (code < 0)
			return code;
		if (value.sequence == watched->sequence)
			continue;
		watched->missed += value.sequence - watched->sequence - 1;
		watched->sequence = value.sequence;
		show(monitor, watched, &value);
	}
	return 0;
}

static void tell_missed(const struct monitor *monitor)
{
	for (size_t i = 0; i < monitor->count; i++) {
		const struct watched *watched = &monitor->watched[i];

		if (watched->missed)
			tool_note("%s: missed %" PRIu64 " update%s of %s", client.name,
				watched->missed, tool_plural(watched->missed), watched->reg.name);
	}
}

/*
 * Begins with the device that is there now, the first or one that took its place: its registers and
 * their order may be others. The exit status.
 */
static int take_up(struct monitor *monitor, char **names)
{
	int again = monitor->begun != 0;
	int code = duoshm_device_format(monitor->device, &monitor->format);

	tell_missed(monitor);
	free(monitor->watched);
	monitor->watched = NULL;
	monitor->count = 0;
	monitor->streams = 0;
	if (code >= 0)
		watch_all(monitor, names);
	if (monitor->streams && !monitor->follows)
		code = duoshm_device_follow(monitor->device);
	if (code < 0)
		return client_failed(code);
	monitor->follows |= monitor->streams;
	if (!again)
		monitor->begun = monitor->last_event = tool_now();
	if (client.banner && !again)
		show_banner(monitor);
	/* What is looked at now and then may have changed unseen. */
	for (size_t i = 0; i < monitor->count; i++)
		if (client.initial_state || (again && monitor->watched[i].channel < 0))
			show(monitor, &monitor->watched[i], &monitor->watched[i].first);
	if (!monitor->count && monitor->status == TOOL_DONE)
		tool_note("%s: has no channels; name the registers to watch", client.name);
	return TOOL_DONE;
}

static int run(struct monitor *monitor, char **names)
{
	int status = take_up(monitor, names);

	while (status == TOOL_DONE && monitor->count && !tool_output_failed() && !enough(monitor)) {
		int code = take_stream(monitor);

		if (code == 0)
			code = take_registers(monitor);
		if (code == DUOSHM_ERR_END) {
			tool_note("%s: the replay is over", client.name);
			break;
		}
		if (code < 0) {
			status = client_await(monitor->device, code, end_of(monitor));
			code = DUOSHM_REPLACED;
		}
		if (code == DUOSHM_REPLACED && status == TOOL_DONE)
			status = take_up(monitor, names);
	}
	return status;
}

int client_monitor(struct duoshm_device *device, char **names)
{
	struct monitor monitor = {.device = device};
	int status = run(&monitor, names);

	tell_missed(&monitor);
	free(monitor.watched);
	return client_worse(status, monitor.status);
}

/* ---- one line a second ---- */

/* The first channel of the stream, else the first register. */
static int main_register(struct duoshm_device *device)
{
	struct duoshm_format format;
	int code = duoshm_device_format(device, &format);

	if (code < 0)
		return code;
	return format.channels ? duoshm_device_find(device, format.names[0]) : 0;
}

static int wait_until(struct duoshm_device *device, int64_t when)
{
	int code = 0;

	for (int64_t rest; code == 0 && !tool_stop && (rest = when - tool_now()) > 0;) {
		tool_pause(rest < SLICE_NS ? rest : SLICE_NS);
		code = client_check(device);
	}
	return code;
}

/* Which register that is, of the device that is there now, and what it is. */
static int find_main(struct duoshm_device *device, unsigned *index, struct duoshm_register *reg)
{
	int code = main_register(device);

	if (code < 0)
		return code;
	*index = (unsigned)code;
	return duoshm_device_describe(device, *index, reg);
}

int client_watch(struct duoshm_device *device, char **none)
{
	struct duoshm_register reg;
	struct duoshm_value value;
	int64_t next = tool_now();
	int64_t end = client.duration_ns ? next + client.duration_ns : INT64_MAX;
	uint64_t lines = 0;
	unsigned index = 0;
	int status = TOOL_DONE, code = find_main(device, &index, &reg);

	(void)none;
	while (status == TOOL_DONE && !tool_stop) {
		if (code >= 0)
			code = duoshm_device_read(device, index, &value);
		if (code >= 0) {
			client_show(&reg, &value, 1);
			if (tool_output_failed() || ++lines == client.events ||
				end - tool_now() < TOOL_SECOND)
				break;
			next += TOOL_SECOND;
			code = wait_until(device, next);
		}
		if (code < 0) {
			status = client_await(device, code, end);
			next = tool_now();
			code = DUOSHM_REPLACED;
		}
		if (code == DUOSHM_REPLACED && status == TOOL_DONE)
			code = find_main(device, &index, &reg);
	}
	return status;
}
