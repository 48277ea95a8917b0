/* SPDX-License-Identifier: MIT */
/* What CUnit/Basic.h beside this declares. An assertion's failure is printed at once; a fatal one
 * leaves the test by longjmp, as CUnit does. Suites and tests run in the order of their making. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "CUnit/Basic.h"

struct CU_Test {
	const char *name;
	CU_TestFunc function;
	struct CU_Test *next;
};

struct CU_Suite {
	const char *name;
	CU_InitializeFunc initialize;
	CU_CleanupFunc clean_up;
	struct CU_Test *tests, **last;
	struct CU_Suite *next;
};

static struct CU_Suite *suites, **last_suite = &suites;
static unsigned int n_asserts, n_failures, n_tests, n_tests_failed, n_suites_failed;
static jmp_buf leave_test;

CU_ErrorCode CU_initialize_registry(void)
{
	return CUE_SUCCESS;
}

void CU_cleanup_registry(void)
{
	while (suites != NULL) {
		struct CU_Suite *suite = suites;
		suites = suite->next;
		while (suite->tests != NULL) {
			struct CU_Test *test = suite->tests;
			suite->tests = test->next;
			free(test);
		}
		free(suite);
	}
	last_suite = &suites;
}

CU_pSuite CU_add_suite(const char *name, CU_InitializeFunc initialize, CU_CleanupFunc clean_up)
{
	struct CU_Suite *suite = calloc(1, sizeof(*suite));

	if (suite == NULL)
		return NULL;
	suite->name = name;
	suite->initialize = initialize;
	suite->clean_up = clean_up;
	suite->last = &suite->tests;
	*last_suite = suite;
	last_suite = &suite->next;
	return suite;
}

CU_pTest CU_add_test(CU_pSuite suite, const char *name, CU_TestFunc function)
{
	struct CU_Test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return NULL;
	test->name = name;
	test->function = function;
	*suite->last = test;
	suite->last = &test->next;
	return test;
}

void CU_basic_set_mode(CU_BasicRunMode mode)
{
	(void)mode;
}

CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
	const char *file, const char *function, CU_BOOL fatal)
{
	(void)function;
	n_asserts++;
	if (holds)
		return CU_TRUE;
	n_failures++;
	printf("    %s:%u: %s\n", file, line, condition);
	if (fatal)
		longjmp(leave_test, 1);
	return CU_FALSE;
}

static void run_test(const struct CU_Test *test)
{
	/* Not in a register: longjmp comes back here. */
	static unsigned int before;

	before = n_failures;
	printf("  Test: %s ...\n", test->name);
	n_tests++;
	if (setjmp(leave_test) == 0)
		test->function();
	printf("  Test: %s ...%s\n", test->name, n_failures == before ? "passed" : "FAILED");
	n_tests_failed += n_failures != before;
	fflush(stdout);
}

static void run_suite(const struct CU_Suite *suite)
{
	printf("Suite: %s\n", suite->name);
	if (suite->initialize != NULL && suite->initialize() != 0) {
		printf("  its initialization FAILED\n");
		n_suites_failed++;
		return;
	}
	for (const struct CU_Test *test = suite->tests; test != NULL; test = test->next)
		run_test(test);
	if (suite->clean_up != NULL && suite->clean_up() != 0) {
		printf("  its clean-up FAILED\n");
		n_suites_failed++;
	}
}

CU_ErrorCode CU_basic_run_tests(void)
{
	for (const struct CU_Suite *suite = suites; suite != NULL; suite = suite->next)
		run_suite(suite);
	/* CUnit counts a suite that could not begin among the failures, too. */
	n_failures += n_suites_failed;
	printf("Run Summary:    Type  Total    Ran Passed Failed Inactive\n"
	       "              tests %6u %6u %6u %6u %8u\n"
	       "            asserts %6u %6u %6u %6u %8s\n",
		n_tests, n_tests, n_tests - n_tests_failed, n_tests_failed, 0u, n_asserts,
		n_asserts, n_asserts - n_failures, n_failures, "n/a");
	return CUE_SUCCESS;
}

unsigned int CU_get_number_of_failures(void)
{
	return n_failures;
}

unsigned int CU_get_number_of_tests_run(void)
{
	return n_tests;
}

unsigned int CU_get_number_of_suites_failed(void)
{
	return n_suites_failed;
}
