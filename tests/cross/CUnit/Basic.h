/* SPDX-License-Identifier: MIT */
/*
 * The part of CUnit's interface that the tests use, for targets that no CUnit is packaged for (musl,
 * i686). tests/cross/run compiles cunit.c and gives both to configure as CUNIT_CFLAGS, CUNIT_LIBS.
 * Everywhere else the tests are built with the real one, so this may only do what that does.
 */
#ifndef DUOSHM_TESTS_CUNIT_BASIC_H
#define DUOSHM_TESTS_CUNIT_BASIC_H

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef int CU_BOOL;
#define CU_TRUE  1
#define CU_FALSE 0

typedef int CU_ErrorCode;
#define CUE_SUCCESS 0

typedef enum { CU_BRM_NORMAL, CU_BRM_SILENT, CU_BRM_VERBOSE } CU_BasicRunMode;
typedef int (*CU_InitializeFunc)(void);
typedef int (*CU_CleanupFunc)(void);
typedef void (*CU_TestFunc)(void);
typedef struct CU_Suite *CU_pSuite;
typedef struct CU_Test *CU_pTest;

CU_ErrorCode CU_initialize_registry(void);
void CU_cleanup_registry(void);
CU_ErrorCode CU_get_error(void);
const char *CU_get_error_msg(void);
CU_pSuite CU_add_suite(const char *name, CU_InitializeFunc initialize, CU_CleanupFunc clean_up);
CU_pTest CU_add_test(CU_pSuite suite, const char *name, CU_TestFunc function);
void CU_basic_set_mode(CU_BasicRunMode mode);
CU_ErrorCode CU_basic_run_tests(void);
unsigned int CU_get_number_of_failures(void);
unsigned int CU_get_number_of_tests_failed(void);
unsigned int CU_get_number_of_tests_run(void);
unsigned int CU_get_number_of_suites_failed(void);
unsigned int CU_get_number_of_asserts(void);
CU_BOOL CU_assertImplementation(CU_BOOL holds, unsigned int line, const char *condition,
	const char *file, const char *function, CU_BOOL fatal);

#define CU_ADD_TEST(suite, test) (CU_add_test(suite, #test, (CU_TestFunc)test))

#define CU_CHECK_(holds, text, fatal)                                                              \
	((void)CU_assertImplementation((holds) != 0, (unsigned)__LINE__, text, __FILE__, "", fatal))
#define CU_PASS(text)                   CU_CHECK_(1, text, CU_FALSE)
#define CU_FAIL(text)                   CU_CHECK_(0, "CU_FAIL(" #text ")", CU_FALSE)
#define CU_FAIL_FATAL(text)             CU_CHECK_(0, "CU_FAIL_FATAL(" #text ")", CU_TRUE)
#define CU_TEST(value)                  CU_CHECK_(value, #value, CU_FALSE)
#define CU_TEST_FATAL(value)            CU_CHECK_(value, #value, CU_TRUE)
#define CU_ASSERT(value)                CU_TEST(value)
#define CU_ASSERT_FATAL(value)          CU_TEST_FATAL(value)
#define CU_ASSERT_TRUE(value)           CU_CHECK_(value, #value, CU_FALSE)
#define CU_ASSERT_TRUE_FATAL(value)     CU_CHECK_(value, #value, CU_TRUE)
#define CU_ASSERT_FALSE(value)          CU_CHECK_(!(value), "!(" #value ")", CU_FALSE)
#define CU_ASSERT_FALSE_FATAL(value)    CU_CHECK_(!(value), "!(" #value ")", CU_TRUE)
#define CU_ASSERT_EQUAL(a, b)           CU_CHECK_((a) == (b), #a " == " #b, CU_FALSE)
#define CU_ASSERT_EQUAL_FATAL(a, b)     CU_CHECK_((a) == (b), #a " == " #b, CU_TRUE)
#define CU_ASSERT_NOT_EQUAL(a, b)       CU_CHECK_((a) != (b), #a " != " #b, CU_FALSE)
#define CU_ASSERT_NOT_EQUAL_FATAL(a, b) CU_CHECK_((a) != (b), #a " != " #b, CU_TRUE)
#define CU_ASSERT_PTR_EQUAL(a, b)                                                                  \
	CU_CHECK_((const void *)(a) == (const void *)(b), #a " == " #b, CU_FALSE)
#define CU_ASSERT_PTR_NOT_EQUAL(a, b)                                                              \
	CU_CHECK_((const void *)(a) != (const void *)(b), #a " != " #b, CU_FALSE)
#define CU_ASSERT_PTR_NULL(a)              CU_CHECK_((a) == NULL, #a " == NULL", CU_FALSE)
#define CU_ASSERT_PTR_NULL_FATAL(a)        CU_CHECK_((a) == NULL, #a " == NULL", CU_TRUE)
#define CU_ASSERT_PTR_NOT_NULL(a)          CU_CHECK_((a) != NULL, #a " != NULL", CU_FALSE)
#define CU_ASSERT_PTR_NOT_NULL_FATAL(a)    CU_CHECK_((a) != NULL, #a " != NULL", CU_TRUE)
#define CU_ASSERT_STRING_EQUAL(a, b)       CU_CHECK_(strcmp(a, b) == 0, #a " is " #b, CU_FALSE)
#define CU_ASSERT_STRING_EQUAL_FATAL(a, b) CU_CHECK_(strcmp(a, b) == 0, #a " is " #b, CU_TRUE)
#define CU_ASSERT_STRING_NOT_EQUAL(a, b)   CU_CHECK_(strcmp(a, b) != 0, #a " is not " #b, CU_FALSE)
#define CU_ASSERT_NSTRING_EQUAL(a, b, n)   CU_CHECK_(strncmp(a, b, n) == 0, #a " is " #b, CU_FALSE)
#define CU_ASSERT_DOUBLE_EQUAL(a, b, d)                                                            \
	CU_CHECK_(fabs((double)(a) - (double)(b)) <= fabs((double)(d)), #a " ~ " #b, CU_FALSE)

#endif
