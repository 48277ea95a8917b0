/* SPDX-License-Identifier: MIT */
/*
 * The client's capture: every frame of the stream, without a gap, into a file. The library promises
 * that nothing is lost; it is checked here once more by the numbers of the frames, for a file with
 * a hole must not look whole.
 */
#include "config.h"

#include "tools/client.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

#define SLICE_NS    100000000LL
#define PROGRESS_NS 200000000LL

struct capture {
	struct duoshm_device *device;
	struct duoshm_format format;
	struct client_file *file;
	uint64_t wanted; /* 0: until the end */
	uint64_t frames, next;
	int64_t shown_ns; /* when the progress was, monotonic */
	int at_terminal;
};

/* How many frames --samples and --duration ask for; a duration is that of the recording. */
static uint64_t frames_wanted(const struct duoshm_format *format)
{
	double frames = ceil((double)client.duration_ns * 1e-9 * format->rate_hz);
	uint64_t by_time = client.duration_ns ? (frames < 1 ? 1 : (uint64_t)frames) : 0;

	if (!by_time || (client.samples && client.samples < by_time))
		return client.samples;
	return by_time;
}

static void show_progress(struct capture *capture)
{
	uint64_t of = capture->wanted ? capture->wanted : capture->format.total_frames;
	int64_t now;

	if (!capture->at_terminal || (now = tool_now()) - capture->shown_ns < PROGRESS_NS)
		return;
	capture->shown_ns = now;
	fprintf(stderr, "\r%" PRIu64 " samples", capture->frames);
	if (of)
		fprintf(stderr, ", %.0f %%", 100.0 * (double)capture->frames / (double)of);
	fputs("\033[K", stderr);
}

/* 0, or the exit status with all said. */
static int take(struct capture *capture, struct duoshm_block *block)
{
	if (block->missed || (capture->frames && block->first != capture->next)) {
		tool_error(
			"%s: samples were lost before number %" PRIu64, client.name, block->first);
		return TOOL_FAILED;
	}
	if (!capture->frames && block->first && capture->format.total_frames)
		tool_note(
			"the replay has begun: the capture begins at frame %" PRIu64, block->first);
	capture->next = block->first + block->frames;
	if (capture->wanted && block->frames > capture->wanted - capture->frames)
		block->frames = (unsigned)(capture->wanted - capture->frames);
	if (client_file_write(capture->file, block) < 0)
		return TOOL_FAILED;
	capture->frames += block->frames;
	show_progress(capture);
	return TOOL_DONE;
}

/* Until enough, the end, or a signal. */
static int take_all(struct capture *capture)
{
	struct duoshm_block block;

	while (!tool_stop && (!capture->wanted || capture->frames < capture->wanted)) {
		int code = duoshm_device_capture_next(capture->device, SLICE_NS, &block);
		int status;

		if (code == DUOSHM_ERR_END)
			return TOOL_DONE;
		if (code == DUOSHM_ERR_TIMEOUT || code == DUOSHM_ERR_INTERRUPTED) {
			show_progress(capture);
			code = client_check(capture->device);
			/* What another device sends is not of this recording. */
			if (code == DUOSHM_REPLACED)
				code = DUOSHM_ERR_PEER_DEAD;
			if (code < 0)
				return client_failed(code);
			continue;
		}
		if (code < 0)
			return client_failed(code);
		status = take(capture, &block);
		if (status != TOOL_DONE)
			return status;
	}
	return TOOL_DONE;
}

static void summarize(const struct capture *capture)
{
	const struct duoshm_format *format = &capture->format;
	char rate[TOOL_TEXT_SIZE];

	tool_note("%s: %s%" PRIu64 " sample%s of %u channel%s at %s Hz, %u bits",
		client_file_title(), tool_stop ? "interrupted after " : "", capture->frames,
		tool_plural(capture->frames), format->channels, tool_plural(format->channels),
		tool_real_text(format->rate_hz, rate), format->bits);
}

int client_capture(struct duoshm_device *device, char **none)
{
	struct capture capture = {.device = device};
	int code = duoshm_device_format(device, &capture.format);
	int status;

	(void)none;
	if (code < 0)
		return client_failed(code);
	capture.wanted = frames_wanted(&capture.format);
	capture.at_terminal = !tool.quiet && isatty(STDERR_FILENO);
	/* First the file: a replay begins with its first capture, and must not begin in vain. */
	capture.file = client_file_open(&capture.format);
	if (!capture.file)
		return TOOL_FAILED;
	code = duoshm_device_capture(device, capture.wanted, tool.wait_ns);
	if (code < 0) {
		status = client_failed(code);
	} else {
		status = take_all(&capture);
		duoshm_device_capture_stop(device);
	}
	if (capture.at_terminal)
		fputs("\r\033[K", stderr);
	status = client_file_close(capture.file, status, capture.frames);
	if (status == TOOL_DONE)
		summarize(&capture);
	return status;
}
