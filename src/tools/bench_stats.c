/* SPDX-License-Identifier: MIT */
/* Histogram and intervals; see bench_stats.h. */
#include "config.h"

#include "tools/bench_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common.h"

#define EXACT     128u /* values below it have a bucket each */
#define EXACT_LOG 7u
#define HALF      64u /* buckets in each power of two above it */
#define LARGEST   ((UINT64_C(1) << 44) - 1)

static unsigned log_of(uint64_t value)
{
	unsigned log = 0;

	while (value >>= 1)
		log++;
	return log;
}

static unsigned bucket_of(uint64_t value)
{
	if (value < EXACT)
		return (unsigned)value;
	unsigned shift = log_of(value) - (EXACT_LOG - 1);
	return EXACT + (shift - 1) * HALF + (unsigned)(value >> shift) - HALF;
}

/* Its middle. */
static double value_of(unsigned bucket)
{
	if (bucket < EXACT)
		return bucket;
	unsigned shift = (bucket - EXACT) / HALF + 1;
	double width = ldexp(1, (int)shift);
	return (HALF + (bucket - EXACT) % HALF) * width + width / 2;
}

void bench_count(struct bench_histogram *h, uint64_t value)
{
	if (value > LARGEST)
		value = LARGEST;
	h->counts[bucket_of(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

void bench_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
	for (unsigned i = 0; i < BENCH_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max > into->max)
		into->max = from->max;
}

double bench_percentile(const struct bench_histogram *h, double part)
{
	double rank = ceil(part * (double)h->total), seen = 0;

	for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
		seen += (double)h->counts[i];
		if (h->counts[i] != 0 && seen >= rank)
			return fmin(value_of(i), (double)h->max);
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

double bench_median(double *values, unsigned count)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof *values, by_value);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* How likely it is that at most `k` of `n` tosses of a coin are heads. */
static double binomial(unsigned n, unsigned k)
{
	double term = pow(0.5, n), sum = term;

	for (unsigned i = 1; i <= k; i++) {
		term *= (double)(n - i + 1) / i;
		sum += term;
	}
	return sum;
}

struct bench_ratio bench_ratio(const double *above, const double *below, unsigned rounds)
{
	double *ratios = tool_allocate(rounds, sizeof *ratios);
	struct bench_ratio ratio = {0};
	unsigned inset = 0; /* order statistics left out at each end */

	for (unsigned i = 0; i < rounds; i++)
		ratios[i] = above[i] / below[i];
	ratio.median = bench_median(ratios, rounds);
	while (2 * (inset + 1) < rounds && 1 - 2 * binomial(rounds, inset + 1) >= BENCH_CONFIDENCE)
		inset++;
	if (rounds > 0) {
		ratio.low = ratios[inset];
		ratio.high = ratios[rounds - 1 - inset];
		ratio.confidence = 1 - 2 * binomial(rounds, inset);
	}
	free(ratios);
	return ratio;
}
