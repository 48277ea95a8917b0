/* SPDX-License-Identifier: MIT */
/*
 * The part of CUnit's interface that the tests use, for targets that no CUnit is packaged for
 * (musl, i686). tests/cross/run compiles cunit.c and gives both to configure as CUNIT_CFLAGS,
 * CUNIT_LIBS. Everywhere else the tests are built with the real one, so this may only do what that
 * does.
 */
#ifndef DUOSHM_TESTS_CUNIT_BASIC_H
#define DUOSHM_TESTS_CUNIT_BASIC_H

#include <math.h>

typedef int CU_BOOL;
#define CU_TRUE  1
#define CU_FALSE 0

typedef int CU_ErrorCode;
#define CUE_SUCCESS 0

typedef enum { CU_BRM_VERBOSE = 2 } CU_BasicRunMode;
typedef int (*CU_InitializeFunc)(void);
typedef int (*CU_CleanupFunc)(void);
typedef void (*CU_TestFunc)(void);
typedef struct CU_Suite *CU_pSuite;
typedef struct CU_Test *CU_pTest;

CU_ErrorCode CU_initialize_registry(void);
void CU_cleanup_registry(void);
CU_pSuite CU_add_suite(const char *name, CU_InitializeFunc initialize, CU_CleanupFunc clean_up);
CU_pTest CU_add_test(CU_pSuite suite, const char *name, CU_TestFunc function);
void CU_basic_set_mode(CU_BasicRunMode mode);
CU_ErrorCode CU_basic_run_tests(void);
unsigned int CU_get_number_of_failures(void);
unsigned int CU_get_number_of_tests_run(void);
unsigned int CU_get_number_of_suites_failed(void);
CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
	const char *file, const char *function, CU_BOOL fatal);

#define CU_CHECK_(holds, text, fatal)                                                              \
	((void)CU_assertImplementation((holds) != 0, (unsigned)__LINE__, text, __FILE__, "", fatal))
#define CU_FAIL(text)         CU_CHECK_(0, "CU_FAIL(" #text ")", CU_FALSE)
#define CU_ASSERT(value)      CU_CHECK_(value, #value, CU_FALSE)
#define CU_ASSERT_EQUAL(a, b) CU_CHECK_((a) == (b), #a " == " #b, CU_FALSE)
#define CU_ASSERT_DOUBLE_EQUAL(a, b, d)                                                            \
	CU_CHECK_(fabs((double)(a) - (double)(b)) <= fabs((double)(d)), #a " ~ " #b, CU_FALSE)

#endif
