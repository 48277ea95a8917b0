/* SPDX-License-Identifier: MIT */
/*
 * CSV files: one line per frame, one column per channel, separated by comma, semicolon or tab. A
 * first line that is not all numbers names the columns, "VOLT (V)" or "VOLT [V]" with a unit. A
 * column named time, t, time_s, t_ns ... gives the rate, and must be even; columns named frame,
 * sample, index or seq are left out. Blank lines and lines that begin with # do not count.
 *
 * The whole file is read and checked at once, so that a fault is told with its line before anything
 * is played.
 */
#include "config.h"

#include "device/replay.h"

#include "core/failure.h"
#include "device/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define USUAL_RATE  10.0      /* Hz, of a file without times */
#define BLANKS      " \t\r\n" /* around a field */
#define COLUMNS_MAX (DUOSHM_CHANNELS_MAX + 4)

enum role { CHANNEL, TIME, IGNORED };

struct csv {
	const char *path; /* this and the recording: while it is read */
	struct duoshm__recording *recording;
	unsigned line;
	char separator;
	unsigned columns, channels;
	enum role role[COLUMNS_MAX];
	double time_unit;
	double first_time, last_time, step;
	double *samples;
	size_t frames, room, next;
};

/* What is wrong with the line at hand. */
#define refuse(csv, ...)                                                                           \
	(duoshm__invalid(__VA_ARGS__), duoshm__blame("%s: line %u", (csv)->path, (csv)->line))

/*
 * Cuts the line into its fields; quotes, between which a separator is none, become blanks. How
 * many; more than COLUMNS_MAX are counted and not kept.
 */
static int split(struct csv *csv, char *line, char *field[COLUMNS_MAX])
{
	int n = 0;

	for (char *next = line; next; n++) {
		char *start = next, *end = next + strspn(next, " ");

		for (int quotes = *end == '"' ? 2 : 0; quotes > 0; quotes--) {
			end = strchr(end, '"');
			if (!end)
				return refuse(csv, "a quote is not closed");
			*end = ' ';
		}
		next = strchr(end, csv->separator);
		if (next)
			*next++ = '\0';
		if (n < COLUMNS_MAX)
			field[n] = duoshm__trim(start, BLANKS);
	}
	return n;
}

/* What is a number to strtod, but no decimal one, is refused where it counts. */
static int to_number(const char *text, double *out)
{
	char *rest;

	*out = strtod(text, &rest);
	return rest != text && !*rest;
}

/* Seconds per unit of a column of times; 0: the column is none. */
static double time_unit(const char *name, const char *unit)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
	const char *tail = strrchr(name, '_');
	size_t length = tail ? (size_t)(tail - name) : strlen(name);

	if (!(length == 1 && strncasecmp(name, "t", 1) == 0) &&
		!(length == 4 && strncasecmp(name, "time", 4) == 0))
		return 0;
	if (tail)
		unit = tail + 1;
	for (size_t i = 0; i < DUOSHM__COUNT(units); i++)
		if (strcmp(unit, units[i].unit) == 0)
			return units[i].seconds;
	return 0;
}

static int is_counter(const char *name)
{
	static const char *const names[] = {"frame", "sample", "index", "seq"};

	for (size_t i = 0; i < DUOSHM__COUNT(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return 1;
	return 0;
}

/* "VOLT (V)" to name and unit, in place. */
static char *cut_unit(char *name)
{
	char *unit = strpbrk(name, "([");
	char *end;

	if (!unit)
		return name + strlen(name);
	*unit++ = '\0';
	end = strpbrk(unit, ")]");
	if (end)
		*end = '\0';
	duoshm__trim(name, BLANKS);
	return duoshm__trim(unit, BLANKS);
}

static void read_names(struct csv *csv, char **field)
{
	struct duoshm__recording *recording = csv->recording;

	for (unsigned i = 0; i < csv->columns; i++) {
		char *unit = cut_unit(field[i]);
		double seconds = time_unit(field[i], unit);

		if (seconds > 0 && csv->time_unit <= 0) {
			csv->role[i] = TIME;
			csv->time_unit = seconds;
		} else if (is_counter(field[i])) {
			csv->role[i] = IGNORED;
		} else if (csv->channels++ < DUOSHM_CHANNELS_MAX) {
			DUOSHM__SET(recording->format.names[csv->channels - 1], field[i]);
			DUOSHM__SET(recording->unit[csv->channels - 1], unit);
		}
	}
}

/* The first line that counts: how many columns? 1: it names them; 0: it is a frame. */
static int begin(struct csv *csv, char **field, unsigned columns)
{
	struct duoshm_format *format = &csv->recording->format;
	double ignored;
	int named = 0;

	csv->columns = columns;
	for (unsigned i = 0; i < columns && i < COLUMNS_MAX; i++)
		named |= !to_number(field[i], &ignored);
	if (columns <= COLUMNS_MAX && named)
		read_names(csv, field);
	else
		csv->channels = columns;
	if (csv->channels < 1 || csv->channels > DUOSHM_CHANNELS_MAX || columns > COLUMNS_MAX)
		return refuse(csv, "there must be 1 to %d columns of samples", DUOSHM_CHANNELS_MAX);
	for (unsigned i = 0; !named && i < csv->channels; i++)
		snprintf(format->names[i], sizeof format->names[i], "CH%u", i + 1);
	return named;
}

static int make_room(struct csv *csv)
{
	size_t room = csv->room ? 2 * csv->room : 1024;
	double *grown;

	if (csv->frames < csv->room)
		return 0;
	grown = realloc(csv->samples, room * csv->channels * sizeof *grown);
	if (!grown)
		return duoshm__no_memory(csv->path);
	csv->samples = grown;
	csv->room = room;
	return 0;
}

/*
 * A step may differ from the first one by 1 %, half a microsecond, or two last digits where these
 * are fine enough.
 */
static int take_time(struct csv *csv, const char *text, double time)
{
	const char *point = strchr(text, '.');
	double digit = pow(10, point ? -(double)strspn(point + 1, "0123456789") : 0);
	double slack = fmax(csv->step / 100, 0.5e-6 / csv->time_unit);
	double step = time - csv->last_time;

	if (digit < csv->step / 20)
		slack = fmax(slack, 2 * digit);
	if (csv->frames && !(step > 0))
		return refuse(csv, "the time does not go on");
	if (csv->frames > 1 && csv->recording->format.rate_hz <= 0 &&
		fabs(step - csv->step) > slack)
		return refuse(csv, "a step of %g where the first was %g; --rate replays it evenly",
			step, csv->step);
	if (csv->frames == 0)
		csv->first_time = time;
	if (csv->frames == 1)
		csv->step = step;
	csv->last_time = time;
	return 0;
}

static int read_frame(struct csv *csv, char **field, unsigned columns)
{
	double value, *to;
	int err = make_room(csv);

	if (!err && columns != csv->columns)
		err = refuse(csv, "columns: %u instead of %u", columns, csv->columns);
	if (err)
		return err;
	to = csv->samples + csv->frames * csv->channels;
	for (unsigned i = 0; !err && i < columns; i++) {
		if (csv->role[i] == IGNORED)
			continue;
		if (!to_number(field[i], &value) || isinf(value) || strpbrk(field[i], "xX("))
			err = refuse(csv, "\"%.40s\" is not a number, decimal and finite, or nan",
				field[i]);
		else if (csv->role[i] == TIME)
			err = take_time(csv, field[i], value);
		else
			*to++ = value;
		if (!err && csv->role[i] == CHANNEL)
			csv->recording->reach = fmax(csv->recording->reach, fabs(value));
	}
	csv->frames += !err;
	return err;
}

static int read_line(struct csv *csv, char *line)
{
	char *field[COLUMNS_MAX];
	int columns, result = 0;

	csv->line++;
	if (csv->line == 1 && strncmp(line, "\357\273\277", 3) == 0)
		line += 3; /* the byte order mark that spreadsheets write */
	if (strchr("#\r\n", line[strspn(line, " \t")]))
		return 0;
	if (!csv->separator)
		csv->separator = strchr(line, ';') ? ';' : strchr(line, '\t') ? '\t' : ',';
	columns = split(csv, line, field);
	if (columns < 0)
		return columns;
	if (!csv->columns)
		result = begin(csv, field, (unsigned)columns);
	if (result == 0)
		return read_frame(csv, field, (unsigned)columns);
	return result < 0 ? result : 0;
}

static int read_lines(struct csv *csv, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, file) >= 0)
		err = read_line(csv, line);
	if (!err && ferror(file))
		err = duoshm__fail_file(csv->path);
	free(line);
	if (!err && csv->frames == 0)
		err = duoshm__invalid("%s: holds no samples", csv->path);
	return err;
}

/* Times are written with few digits: a rate that is a whole number but for them is that number. */
static double rate_of(const struct csv *csv)
{
	double rate, whole;

	if (csv->time_unit <= 0 || csv->frames < 2)
		return USUAL_RATE;
	rate = (double)(csv->frames - 1) / ((csv->last_time - csv->first_time) * csv->time_unit);
	whole = round(rate);
	return fabs(rate - whole) < 1e-6 * rate ? whole : rate;
}

static void csv_close(void *state)
{
	struct csv *csv = state;

	free(csv->samples);
	free(csv);
}

static int csv_open(const char *path, FILE *file, struct duoshm__recording *recording, void **state)
{
	struct csv *csv = *state = calloc(1, sizeof *csv);
	struct duoshm_format *format = &recording->format;
	int err;

	if (!csv)
		return duoshm__no_memory(path);
	csv->path = path;
	csv->recording = recording;
	recording->reach = 1;
	err = read_lines(csv, file);
	if (err)
		return err;
	format->sample_type = DUOSHM_SAMPLE_REAL64;
	format->bits = 64;
	format->scale = 1;
	format->channels = csv->channels;
	if (format->rate_hz <= 0)
		format->rate_hz = rate_of(csv);
	format->total_frames = csv->frames;
	DUOSHM__SET(format->source, "csv");
	return 0;
}

static int csv_read(void *state, int sample_type, void *samples, unsigned frames)
{
	struct csv *csv = state;
	size_t left = csv->frames - csv->next;
	size_t count = frames < left ? frames : left;

	(void)sample_type;
	memcpy(samples, csv->samples + csv->next * csv->channels,
		count * csv->channels * sizeof *csv->samples);
	csv->next += count;
	return (int)count;
}

static int csv_rewind(void *state)
{
	struct csv *csv = state;

	csv->next = 0;
	return 0;
}

const struct duoshm__source duoshm__source_csv = {
	.open = csv_open,
	.read = csv_read,
	.rewind = csv_rewind,
	.close = csv_close,
};
