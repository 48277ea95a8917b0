/* SPDX-License-Identifier: MIT */
/*
 * Registers: alarms, texts, limits; and that the table never shows half a moment, even of a stopped
 * writer.
 */
#include "config.h"

#include "device/registers.h"
#include "harness/harness.h"

#include <math.h>
#include <sys/mman.h>

static const struct duoshm_register volt = {.name = "VOLT",
	.unit = "V",
	.type = DUOSHM_TYPE_REAL,
	.writable = 1,
	.precision = 3,
	.low = -10,
	.high = 10,
	.lolo = -9,
	.low_alarm = -8,
	.high_alarm = 8,
	.hihi = 9};

static void alarms(void)
{
	static const struct {
		double value;
		int severity, alarm;
	} levels[] = {
		{0, DUOSHM_NO_ALARM, DUOSHM_ALARM_NONE},
		{7.99, DUOSHM_NO_ALARM, DUOSHM_ALARM_NONE},
		{8, DUOSHM_MINOR, DUOSHM_ALARM_HIGH},
		{9, DUOSHM_MAJOR, DUOSHM_ALARM_HIHI},
		{-8, DUOSHM_MINOR, DUOSHM_ALARM_LOW},
		{-9.5, DUOSHM_MAJOR, DUOSHM_ALARM_LOLO},
		{NAN, DUOSHM_INVALID, DUOSHM_ALARM_READ},
	};
	struct duoshm__registers r = {0};

	EXPECT(duoshm__registers_add(&r, &volt), 0);
	EXPECT(r.value[0].alarm, DUOSHM_ALARM_UDF);
	EXPECT(r.value[0].severity, DUOSHM_INVALID);
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		duoshm__registers_number(&r, 0, levels[i].value, 5, 100, 200);
		EXPECT(r.value[0].severity, levels[i].severity);
		EXPECT(r.value[0].alarm, levels[i].alarm);
		EXPECT(r.value[0].sequence, i + 1);
	}
	EXPECT(r.value[0].t_sample_ns, 100);
	EXPECT(r.value[0].t_update_ns, 200);
}

static void parsing(void)
{
	struct duoshm_register about = volt;
	struct duoshm_value value = {0};
	char text[64];

	EXPECT(duoshm__value_parse(&about, "500mV", &value), 0);
	CHECK(value.real == 0.5);
	duoshm__value_text(&about, &value, text, sizeof text);
	EXPECT_TEXT(text, "0.5 V");
	EXPECT(duoshm__value_parse(&about, "10.5", &value), DUOSHM_ERR_INVALID);
	EXPECT_PART(duoshm_failure()->cause, "10.5 is beyond its limits, -10 to 10 V");
	EXPECT(duoshm__value_parse(&about, "on", &value), DUOSHM_ERR_INVALID);
	CHECK(value.real == 0.5); /* untouched */
	about.type = DUOSHM_TYPE_BOOLEAN;
	EXPECT(duoshm__value_parse(&about, "ON", &value), 0);
	EXPECT(value.integer, 1);
	EXPECT(duoshm__value_parse(&about, "2", &value), DUOSHM_ERR_INVALID);
	about.type = DUOSHM_TYPE_INTEGER;
	EXPECT(duoshm__value_parse(&about, "-7", &value), 0);
	EXPECT(value.integer, -7);
	EXPECT(duoshm__value_parse(&about, "11", &value), DUOSHM_ERR_INVALID);
	about.type = DUOSHM_TYPE_TEXT;
	EXPECT(duoshm__value_parse(&about, "any thing", &value), 0);
	EXPECT_TEXT(value.text, "any thing");
}

/* What a reader gets of a row. */
static struct duoshm_value shown(const struct duoshm__plain_row *row, unsigned char type)
{
	struct duoshm__table *table = harness_shared(duoshm__table_bytes(1));
	struct duoshm_value value = {0};
	unsigned char dirty = 1;

	duoshm__table_write(table, 1, row, &dirty);
	EXPECT(duoshm__table_values(table, 1, 0, 1, &type, &value), 0);
	munmap(table, duoshm__table_bytes(1));
	return value;
}

static void rows_keep_everything(void)
{
	struct duoshm_value value = {.type = DUOSHM_TYPE_TEXT,
		.real = -0.1,
		.integer = INT64_MIN,
		.text = "sixty-three characters at most",
		.sequence = UINT64_MAX,
		.t_sample_ns = -1,
		.t_update_ns = INT64_MAX,
		.severity = DUOSHM_INVALID,
		.alarm = DUOSHM_ALARM_UDF};
	struct duoshm_value back;
	struct duoshm__plain_row row;

	duoshm__row_encode(&value, &row);
	back = shown(&row, DUOSHM_TYPE_TEXT);
	EXPECT(back.type, value.type);
	CHECK(back.real == value.real);
	EXPECT(back.integer, value.integer);
	EXPECT_TEXT(back.text, value.text);
	EXPECT(back.sequence, value.sequence);
	EXPECT(back.t_sample_ns, value.t_sample_ns);
	EXPECT(back.t_update_ns, value.t_update_ns);
	EXPECT(back.severity, value.severity);
	EXPECT(back.alarm, value.alarm);
	/* a row of another process may hold anything */
	memset(&row, 0xff, sizeof row);
	back = shown(&row, DUOSHM_TYPE_TEXT);
	EXPECT(strlen(back.text), 63);
	CHECK(back.severity <= DUOSHM_INVALID && back.alarm <= DUOSHM_ALARM_UDF);
}

#define ROWS 40

static struct duoshm__table *make_table(void)
{
	return harness_shared(duoshm__table_bytes(ROWS - DUOSHM__EXTRA_ROWS));
}

static void drop_table(struct duoshm__table *table)
{
	munmap(table, duoshm__table_bytes(ROWS - DUOSHM__EXTRA_ROWS));
}

/* Writes moments until it is killed: every word of every row is the number of the moment. */
static int write_moments(void *arg)
{
	static struct duoshm__plain_row rows[ROWS];
	unsigned char dirty[ROWS];

	for (uint64_t moment = 1;; moment++) {
		for (size_t i = 0; i < ROWS * DUOSHM__ROW_WORDS; i++)
			rows[i / DUOSHM__ROW_WORDS].word[i % DUOSHM__ROW_WORDS] = moment;
		memset(dirty, 1, sizeof dirty);
		duoshm__table_write(arg, ROWS, rows, dirty);
	}
	return 0;
}

/* Words that differ from the first one. */
static size_t torn_words(const struct duoshm__plain_row *rows)
{
	size_t torn = 0;

	for (size_t i = 0; i < ROWS; i++)
		for (size_t w = 0; w < DUOSHM__ROW_WORDS; w++)
			torn += rows[i].word[w] != rows[0].word[0];
	return torn;
}

static void snapshots_are_of_one_moment(void)
{
	static struct duoshm__plain_row rows[ROWS];
	struct duoshm__table *table = make_table();
	pid_t writer = harness_fork(write_moments, table);
	long reads = harness_scale(300, 3000, 100000);
	size_t torn = 0, busy = 0;
	uint64_t last = 0;

	for (long i = 0; i < reads; i++) {
		if (duoshm__table_read(table, ROWS, 0, ROWS, rows) < 0) {
			busy++;
			continue;
		}
		torn += torn_words(rows);
		CHECK(rows[0].word[0] >= last); /* never back in time */
		last = rows[0].word[0];
	}
	EXPECT(torn, 0);
	CHECK(busy < (size_t)reads / 2);
	harness_kill(writer);
	drop_table(table);
	harness_proves(2, reads - (long)busy, "snapshots");
}

/* Wherever the writer was stopped, a reader gets a whole moment at the first try. */
static void a_stopped_writer_blocks_nobody(void)
{
	static struct duoshm__plain_row rows[ROWS];
	struct duoshm__table *table = make_table();

	for (long i = 0; i < harness_scale(10, 60, 500); i++) {
		pid_t writer = harness_fork(write_moments, table);

		while (duoshm__load32(&table->latch) < 100)
			duoshm__relax();
		harness_stop(writer);
		EXPECT(duoshm__table_read(table, ROWS, 0, ROWS, rows), 0);
		EXPECT(torn_words(rows), 0);
		harness_kill(writer);
		memset(table, 0, duoshm__table_bytes(ROWS - DUOSHM__EXTRA_ROWS));
	}
	drop_table(table);
}

static const struct harness_case cases[] = {
	{"alarm levels", alarms},
	{"texts to values, within limits", parsing},
	{"a row keeps everything", rows_keep_everything},
	{"a snapshot is of one moment", snapshots_are_of_one_moment},
	{"a stopped writer blocks nobody", a_stopped_writer_blocks_nobody},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "registers", cases);
}
