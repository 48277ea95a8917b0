/* SPDX-License-Identifier: MIT */
/*
 * What a capture writes: WAV, CSV, JSON Lines or raw samples. One const record per format.
 *
 * A regular file is written beside its place as NAME.part-XXXXXX and takes its name when it is
 * whole, so that no half file ever looks like a whole one, and what had the name before stays until
 * then. What already lies on disk when writing fails is kept under the other name, and said.
 * Devices, FIFOs and "-" are written directly.
 */
#include "config.h"

#include "tools/client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_SNDFILE
#include <sndfile.h>
#endif

#include "tools/json.h"

#define LINKS_MAX 40 /* to a name: as many as Linux follows */

struct writer;

struct client_file {
	const struct writer *writer;
	struct duoshm_format format;
	char *path;      /* NULL: standard output */
	char *temporary; /* NULL: written directly */
	FILE *stream;
	void *sound;            /* SNDFILE, for WAV */
	uint64_t frames, bytes; /* written so far */
	int failed;
};

struct writer {
	const char *name, *also; /* as suffixes and for --output-format */
	/* Each ends with fail() if it does. */
	void (*begin)(struct client_file *file); /* NULL: nothing to do */
	void (*write)(struct client_file *file, const struct duoshm_block *block);
	void (*end)(struct client_file *file); /* NULL: nothing to do */
};

/*
 * The number of the descriptor that the name stands for, or -1. Such a file is not opened: that
 * would begin at its start again.
 */
static int descriptor(void)
{
	int fd;

	if (strcmp(client.output, "-") == 0 || strcmp(client.output, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(client.output, "/dev/stderr") == 0)
		return STDERR_FILENO;
	return sscanf(client.output, "/dev/fd/%d", &fd) == 1 ? fd : -1;
}

static int is_stdout(void)
{
	return descriptor() == STDOUT_FILENO;
}

const char *client_file_title(void)
{
	return is_stdout() ? "standard output" : client.output;
}

/*
 * Reports the first failure. What is wrong with standard output is said at the end, once, or is a
 * pipe that nobody reads any more.
 */
static void fail(struct client_file *file, const char *why)
{
	if (!file->failed && !is_stdout())
		tool_error("%s: %s", client.output, why);
	file->failed = 1;
}

static void check_stream(struct client_file *file)
{
	if (file->stream == stdout ? tool_output_failed() : ferror(file->stream))
		fail(file, strerror(errno));
}

/* ---- CSV: a heading, then the seconds since the first frame and the value of each channel ---- */

static void begin_csv(struct client_file *file)
{
	fputs("t_s", file->stream);
	for (unsigned i = 0; i < file->format.channels; i++) {
		fprintf(file->stream, ",%s", file->format.names[i]);
		if (file->format.unit[0])
			fprintf(file->stream, " (%s)", file->format.unit);
	}
	fputc('\n', file->stream);
}

static void write_csv(struct client_file *file, const struct duoshm_block *block)
{
	unsigned channels = file->format.channels;
	char text[TOOL_TEXT_SIZE];

	for (unsigned frame = 0; frame < block->frames && !ferror(file->stream);
		frame++, file->frames++) {
		double seconds =
			file->format.rate_hz > 0 ? (double)file->frames / file->format.rate_hz : 0;

		fputs(tool_real_text(seconds, text), file->stream);
		for (unsigned i = 0; i < channels; i++) {
			double value =
				client_sample(&file->format, block, (size_t)frame * channels + i);

			fprintf(file->stream, ",%s", tool_real_text(value, text));
		}
		fputc('\n', file->stream);
	}
}

/* ---- JSON Lines: one line that describes the stream, then one for each frame ---- */

#ifdef HAVE_JANSSON

static void begin_jsonl(struct client_file *file)
{
	const struct duoshm_format *format = &file->format;
	struct tool_json *line = tool_json_document("duoshm.capture/1");
	struct tool_json *names = tool_json_array();

	tool_json_text(line, "device", tool_plain_name(client.name));
	tool_json_text(line, "source", format->source);
	tool_json_real(line, "rate_hz", format->rate_hz);
	tool_json_integer(line, "bits", format->bits);
	tool_json_text(line, "unit", format->unit);
	for (unsigned i = 0; i < format->channels; i++) {
		struct tool_json *channel = tool_json_object();

		tool_json_text(channel, "name", format->names[i]);
		tool_json_put(names, NULL, channel);
	}
	tool_json_put(line, "channels", names);
	tool_json_write(line, 1, file->stream);
}

static void write_jsonl(struct client_file *file, const struct duoshm_block *block)
{
	const struct duoshm_format *format = &file->format;
	unsigned channels = format->channels;

	for (unsigned frame = 0; frame < block->frames && !ferror(file->stream); frame++) {
		struct tool_json *line = tool_json_object();
		struct tool_json *values = tool_json_array();

		tool_json_integer(line, "seq", (int64_t)(block->first + frame));
		tool_json_integer(line, "t_device_ns", client_sample_time(format, block, frame));
		for (unsigned i = 0; i < channels; i++)
			tool_json_real(values, NULL,
				client_sample(&file->format, block, (size_t)frame * channels + i));
		tool_json_put(line, "values", values);
		tool_json_write(line, 1, file->stream);
	}
}

#define WRITE_JSONL begin_jsonl, write_jsonl, NULL
#else
#define WRITE_JSONL NULL, NULL, NULL
#endif

/* ---- raw: 32-bit integers or 64-bit reals of this machine, channels interleaved ---- */

static void write_raw(struct client_file *file, const struct duoshm_block *block)
{
	size_t size =
		file->format.sample_type == DUOSHM_SAMPLE_INT32 ? sizeof(int32_t) : sizeof(double);
	size_t count = (size_t)block->frames * file->format.channels;

	fwrite(block->samples, size, count, file->stream);
}

/* ---- WAV ---- */

#ifdef HAVE_SNDFILE

/* Sizes in a WAV file have 32 bits; some room is left for its head and tail. */
#define WAV_MAX (UINT32_MAX - 65536u)

/*
 * A replayed WAV keeps its sample format, so that the copy is the same sample for sample. Values of
 * anything else are not bound to -1..1: they are stored as 64-bit reals in the stream's unit.
 */
static int wav_subtype(const struct duoshm_format *format)
{
	if (strcmp(format->source, "wav") != 0)
		return SF_FORMAT_DOUBLE;
	if (format->sample_type == DUOSHM_SAMPLE_REAL64)
		return format->bits <= 32 ? SF_FORMAT_FLOAT : SF_FORMAT_DOUBLE;
	if (format->bits <= 8)
		return SF_FORMAT_PCM_U8;
	if (format->bits <= 16)
		return SF_FORMAT_PCM_16;
	return format->bits <= 24 ? SF_FORMAT_PCM_24 : SF_FORMAT_PCM_32;
}

static void begin_wav(struct client_file *file)
{
	SF_INFO info = {.channels = (int)file->format.channels};
	double rate = file->format.rate_hz;

	info.samplerate = rate < 1 ? 1 : rate > INT32_MAX ? INT32_MAX : (int)(rate + 0.5);
	info.format = SF_FORMAT_WAV | wav_subtype(&file->format);
	if ((double)info.samplerate != rate)
		tool_note("%s: a WAV file holds whole rates only: %d Hz", client.output,
			info.samplerate);
	file->sound = sf_open_fd(fileno(file->stream), SFM_WRITE, &info, 0);
	if (!file->sound)
		fail(file, sf_strerror(NULL));
}

/* In the stream's unit; the number of frames written. */
static sf_count_t write_values(struct client_file *file, const struct duoshm_block *block)
{
	unsigned channels = file->format.channels;
	double values[DUOSHM_CHANNELS_MAX];

	for (unsigned frame = 0; frame < block->frames; frame++) {
		for (unsigned i = 0; i < channels; i++)
			values[i] =
				client_sample(&file->format, block, (size_t)frame * channels + i);
		if (sf_writef_double(file->sound, values, 1) != 1)
			return frame;
	}
	return block->frames;
}

static void write_wav(struct client_file *file, const struct duoshm_block *block)
{
	int own = strcmp(file->format.source, "wav") == 0;
	int whole = own && file->format.sample_type == DUOSHM_SAMPLE_INT32;
	sf_count_t frames = block->frames;
	sf_count_t done;

	file->bytes += (uint64_t)frames * file->format.channels * (whole ? 4 : 8);
	if (file->bytes > WAV_MAX) {
		fail(file, "a WAV file ends at 4 GiB; --output-format=raw does not");
		return;
	}
	errno = 0;
	if (whole)
		done = sf_writef_int(file->sound, block->samples, frames);
	else if (own)
		done = sf_writef_double(file->sound, block->samples, frames);
	else
		done = write_values(file, block);
	if (done != frames)
		fail(file, errno ? strerror(errno) : sf_strerror(file->sound));
}

static void end_wav(struct client_file *file)
{
	int code;

	errno = 0;
	code = file->sound ? sf_close(file->sound) : 0;
	if (code != 0)
		fail(file, errno ? strerror(errno) : sf_error_number(code));
}

#define WRITE_WAV begin_wav, write_wav, end_wav
#else
#define WRITE_WAV NULL, NULL, NULL
#endif

/* ---- the formats ---- */

static const struct writer writers[] = {
	{"wav", "wave", WRITE_WAV},
	{"csv", "csv", begin_csv, write_csv, NULL},
	{"jsonl", "ndjson", WRITE_JSONL},
	{"raw", "bin", NULL, write_raw, NULL},
};
#define WRITERS (sizeof writers / sizeof *writers)

static const struct writer *find(const char *name)
{
	for (size_t i = 0; i < WRITERS; i++) {
		if (strcasecmp(writers[i].name, name) == 0 ||
			strcasecmp(writers[i].also, name) == 0)
			return &writers[i];
	}
	return NULL;
}

static const struct writer *chosen(void)
{
	const char *name = strrchr(client.output, '.');
	const struct writer *writer;

	name = name ? name + 1 : "";
	if (is_stdout())
		name = tool.json ? "jsonl" : "csv";
	if (client.output_format)
		name = client.output_format;
	writer = find(name);
	if (!writer && client.output_format)
		tool_usage("--output-format: unknown: \"%s\"; there are wav csv jsonl raw", name);
	if (!writer)
		tool_usage(
			"--output: the name of \"%s\" tells no format; use .wav .csv .jsonl .raw "
			"or --output-format",
			client.output);
	return writer;
}

void client_file_check(void)
{
	if (!client.output || !*client.output)
		tool_usage("capture: --output=FILE is missing");
	const struct writer *writer = chosen();
	if (strcmp(writer->name, "wav") == 0 && is_stdout())
		tool_usage("--output: a WAV file cannot be written to standard output; csv, jsonl "
			   "and raw can");
	if (strcmp(writer->name, "raw") == 0 && isatty(descriptor()))
		tool_usage("--output: raw samples are not for a terminal");
	if (tool.json && strcmp(writer->name, "jsonl") != 0)
		tool_usage("--json: the file would be %s; --output-format=jsonl is JSON",
			writer->name);
	if (!writer->write) {
		tool_error("--output: %s is not available: built without %s", writer->name,
			strcmp(writer->name, "wav") == 0 ? "libsndfile" : "jansson");
		exit(TOOL_FAILED);
	}
}

/* ---- names ---- */

static mode_t mode_of_new(const struct stat *before)
{
	mode_t mask = umask(0);

	umask(mask);
	return before ? before->st_mode & 0777 : 0666 & ~mask;
}

/* Where a link leads, seen from where `path` is seen from; NULL: it is no link. */
static char *target_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
	char target[4096];
	ssize_t length = readlink(path, target, sizeof target - 1);
	char *result;

	if (length < 0)
		return NULL;
	target[length] = '\0';
	if (*target == '/')
		folder = 0;
	result = tool_allocate(folder + (size_t)length + 1, 1);
	memcpy(result, path, folder);
	memcpy(result + folder, target, (size_t)length + 1);
	return result;
}

/*
 * The name that is still missing at the end of all links. Nothing is made to find it: what somebody
 * else makes there meanwhile could be taken for it, and removed.
 */
static char *resolve_missing(void)
{
	char *path = tool_copy(client.output);
	char *target;

	for (int links = 0; (target = target_of(path)); links++) {
		free(path);
		path = target;
		if (links == LINKS_MAX) { /* it has become a circle meanwhile */
			free(path);
			errno = ELOOP;
			return NULL;
		}
	}
	return path;
}

/*
 * The file that the name leads to through all links, or NULL. `error`: why there is none yet. Only
 * where it is just missing has the system followed all links: it refuses those of strangers in a
 * folder that everybody may write.
 */
static char *resolve(int error)
{
	if (error == ENOENT)
		return resolve_missing();
	errno = error;
	return error ? NULL : realpath(client.output, NULL);
}

/*
 * A descriptor to write to: the file itself, or one beside it that takes its name later. -1: errno.
 */
static int open_place(struct client_file *file)
{
	struct stat before;
	int there = stat(client.output, &before) == 0;
	int error = there ? 0 : errno;
	char *temporary;
	size_t size;
	int fd;

	if (descriptor() >= 0)
		return fcntl(descriptor(), F_DUPFD_CLOEXEC, 0);
	if (there && !S_ISREG(before.st_mode))
		return open(client.output, O_WRONLY | O_CLOEXEC);
	/* A link stays, and what it points to is replaced. */
	file->path = resolve(error);
	if (!file->path || (there && access(file->path, W_OK) < 0))
		return -1;
	size = strlen(file->path) + sizeof ".part-XXXXXX";
	temporary = tool_allocate(size, 1);
	snprintf(temporary, size, "%s.part-XXXXXX", file->path);
	fd = mkstemp(temporary);
	if (fd < 0) {
		free(temporary);
		return -1;
	}
	file->temporary = temporary;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fchmod(fd, mode_of_new(there ? &before : NULL));
	return fd;
}

static void open_stream(struct client_file *file)
{
	int fd = is_stdout() ? STDOUT_FILENO : open_place(file);

	if (fd >= 0)
		file->stream = is_stdout() ? stdout : fdopen(fd, "wb");
	if (!file->stream)
		fail(file, strerror(errno));
}

struct client_file *client_file_open(const struct duoshm_format *format)
{
	struct client_file *file = tool_allocate(1, sizeof *file);

	file->writer = chosen();
	file->format = *format;
	open_stream(file);
	if (!file->failed && file->writer->begin) {
		file->writer->begin(file);
		check_stream(file);
	}
	if (!file->failed)
		return file;
	client_file_close(file, TOOL_FAILED, 0);
	return NULL;
}

int client_file_write(struct client_file *file, const struct duoshm_block *block)
{
	file->writer->write(file, block);
	check_stream(file);
	return file->failed ? -1 : 0;
}

/* Buffers are written out and all descriptors closed, also after a failure. */
static void close_stream(struct client_file *file)
{
	if (!file->stream)
		return;
	if (file->writer->end)
		file->writer->end(file);
	if (file->stream != stdout && fclose(file->stream) < 0)
		fail(file, strerror(errno));
}

static void keep_or_abandon(struct client_file *file, uint64_t frames)
{
	if (!file->failed && rename(file->temporary, file->path) < 0)
		fail(file, strerror(errno));
	if (!file->failed)
		return;
	if (!frames)
		unlink(file->temporary);
	else
		tool_error("%s is not whole; its beginning, about %" PRIu64 " samples, is in %s",
			client.output, frames, file->temporary);
}

int client_file_close(struct client_file *file, int status, uint64_t frames)
{
	close_stream(file);
	if (status != TOOL_DONE)
		file->failed = 1;
	if (file->temporary)
		keep_or_abandon(file, frames);
	if (status == TOOL_DONE && file->failed)
		status = TOOL_FAILED;
	free(file->temporary);
	free(file->path);
	free(file);
	return status;
}
