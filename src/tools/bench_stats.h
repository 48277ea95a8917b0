/* SPDX-License-Identifier: MIT */
/* Reckoning for `compare bench`: a histogram of times, and ratios with an interval. */
#ifndef DUOSHM_TOOLS_BENCH_STATS_H
#define DUOSHM_TOOLS_BENCH_STATS_H

#include <stdint.h>

/*
 * Counts values of 0 to 2^44 - 1 (picoseconds: up to 17 s; more counts as that) in buckets of
 * bounded relative width: values below 128 exactly, any other one in a bucket that is at most 1/64
 * of it wide, and is told by its middle: an error of at most 1/128. (The layout of HdrHistogram,
 * Gil Tene: equal buckets within each power of two.) Plain memory: histograms may be copied.
 */
#define BENCH_BUCKETS (128 + 37 * 64)

struct bench_histogram {
	uint64_t total, max;
	uint64_t counts[BENCH_BUCKETS];
};

void bench_count(struct bench_histogram *histogram, uint64_t value);
void bench_merge(struct bench_histogram *into, const struct bench_histogram *from);
/* The value that `part` (0 to 1) of all values do not exceed; 0 of an empty histogram. */
double bench_percentile(const struct bench_histogram *histogram, double part);

/* A ratio of two subjects over paired rounds: the median, and an interval around it. */
struct bench_ratio {
	double median, low, high;
	double confidence; /* of the interval, 0 to 1 */
};
/*
 * The interval is that of the sign test: two order statistics of the rounds' ratios, as close
 * together as a confidence of 95 % lets them be (fewer than 6 rounds: the least and the greatest
 * one, whose confidence is less). It assumes nothing but that the rounds are independent.
 */
#define BENCH_CONFIDENCE 0.95
struct bench_ratio bench_ratio(const double *above, const double *below, unsigned rounds);

/* Sorts `values`. */
double bench_median(double *values, unsigned count);

#endif
