/* SPDX-License-Identifier: MIT */
/* The reckoning of compare bench: the histogram's error, percentiles, ratios and their interval. */
#include "config.h"

#include "harness/harness.h"
#include "tools/bench_stats.h"

#include <math.h>
#include <stdint.h>

#define NEAR(value, expected, part)                                                                \
	CU_ASSERT(fabs((value) - (expected)) <= (part)*fabs((double)(expected)))

/* A value alone in a histogram is told with an error of at most 1/128. */
static void told_closely(void)
{
	for (uint64_t value = 0; value < UINT64_C(1) << 43; value += 1 + value / 37) {
		struct bench_histogram one = {.total = 0};

		bench_count(&one, value);
		one.max = UINT64_MAX; /* or it would be told exactly */
		NEAR(bench_percentile(&one, 0.5), (double)value, 1.0 / 128);
	}
}

static void never_beyond_the_maximum(void)
{
	struct bench_histogram h = {.total = 0};

	bench_count(&h, UINT64_MAX);
	bench_count(&h, 1001);
	EXPECT(h.total, 2);
	EXPECT(h.max == (UINT64_C(1) << 44) - 1, 1);
	CU_ASSERT(bench_percentile(&h, 1) <= (double)h.max);
	h = (struct bench_histogram){.total = 0};
	bench_count(&h, 1001);
	CU_ASSERT(bench_percentile(&h, 0.5) <= 1001);
	CU_ASSERT_DOUBLE_EQUAL(bench_percentile(&(struct bench_histogram){.total = 0}, 0.5), 0, 0);
}

static void percentiles_of_a_range(void)
{
	struct bench_histogram low = {.total = 0}, high = {.total = 0};

	for (uint64_t i = 1; i <= 100000; i++)
		bench_count(i % 2 == 0 ? &low : &high, i);
	bench_merge(&low, &high);
	EXPECT(low.total, 100000);
	EXPECT(low.max, 100000);
	NEAR(bench_percentile(&low, 0.5), 50000, 1.0 / 64);
	NEAR(bench_percentile(&low, 0.99), 99000, 1.0 / 64);
	NEAR(bench_percentile(&low, 0.999), 99900, 1.0 / 64);
}

static void medians(void)
{
	double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2};

	CU_ASSERT_DOUBLE_EQUAL(bench_median(odd, 3), 3, 0);
	CU_ASSERT_DOUBLE_EQUAL(bench_median(even, 4), 2.5, 0);
	CU_ASSERT_DOUBLE_EQUAL(bench_median(even, 0), 0, 0);
}

/* The order statistics that tables of the sign test give for 95 %. */
static void intervals(void)
{
	static const struct {
		unsigned rounds, inset;
		double confidence;
	} known[] = {{1, 0, 0}, {5, 0, 0.9375}, {6, 0, 0.96875}, {9, 1, 0.9609375},
		{20, 5, 0.9586105}, {100, 39, 0.9647998}};
	double above[100], below[100];

	for (unsigned i = 0; i < 100; i++) {
		above[i] = 2.0 * (i * 37 % 100 + 1); /* each of 2 to 200 once, in disorder */
		below[i] = 2;
	}
	for (unsigned k = 0; k < sizeof known / sizeof *known; k++) {
		unsigned rounds = known[k].rounds;
		double sorted[100];

		for (unsigned i = 0; i < rounds; i++)
			sorted[i] = above[i] / 2;
		struct bench_ratio ratio = bench_ratio(above, below, rounds);
		double median = bench_median(sorted, rounds);
		CU_ASSERT_DOUBLE_EQUAL(ratio.median, median, 0);
		CU_ASSERT_DOUBLE_EQUAL(ratio.low, sorted[known[k].inset], 0);
		CU_ASSERT_DOUBLE_EQUAL(ratio.high, sorted[rounds - 1 - known[k].inset], 0);
		CU_ASSERT_DOUBLE_EQUAL(ratio.confidence, known[k].confidence, 1e-6);
	}
}

static const struct harness_case cases[] = {
	{"a value is told closely", told_closely},
	{"never beyond the maximum", never_beyond_the_maximum},
	{"percentiles of a range", percentiles_of_a_range},
	{"medians", medians},
	{"intervals", intervals},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run(argc, argv, "bench", cases);
}
