# SPDX-License-Identifier: MIT

# DUOSHM_OPTIONAL_LIB(NAME, VARIABLE, PKG-CONFIG MODULE, WHAT FOR)
# Without --with-NAME the library is used where it is found; --with-NAME makes its absence an error;
# --without-NAME leaves it out. Sets VARIABLE_CFLAGS and VARIABLE_LIBS, defines HAVE_VARIABLE (also a
# conditional) and adds a line to the summary.
AC_DEFUN([DUOSHM_OPTIONAL_LIB], [
AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [do without $1 ($4)])],
	[DUOSHM_YES_OR_NO([--with-$1], [$with_$1])], [with_$1=auto])
duoshm_found_$1=no
AS_IF([test "x$with_$1" = xno], [$2_CFLAGS= $2_LIBS=], [
	PKG_CHECK_MODULES([$2], [$3], [duoshm_found_$1=yes], [
		AS_IF([test "x$with_$1" != xauto],
			[AC_MSG_ERROR([--with-$1: $3 is not found by pkg-config: $$2_PKG_ERRORS])])
	])
])
AS_IF([test "x$duoshm_found_$1" = xyes],
	[AC_DEFINE([HAVE_$2], [1], [Define to 1 if $1 serves ($4).])
	duoshm_libraries="$duoshm_libraries $1"])
AM_CONDITIONAL([HAVE_$2], [test "x$duoshm_found_$1" = xyes])
AS_VAR_APPEND([duoshm_summary_libs], ["
    $1: $duoshm_found_$1 ($4)"])
])

# DUOSHM_SUMMARY: what was decided, in a dozen lines.
AC_DEFUN([DUOSHM_SUMMARY], [
AS_ECHO(["
duoshm $PACKAGE_VERSION for $host
  backends:        $duoshm_backends
  default backend: $with_default_backend
  tools $enable_tools, tests $enable_tests, examples $enable_examples
  optional libraries:$duoshm_summary_libs
  compiler:        $CC $CFLAGS
  werror $enable_werror, sanitizers $enable_sanitizers, coverage $enable_coverage
  installed as:    $prefix (programs ${program_prefix}device, ${program_prefix}client ...)
"])
AS_IF([test "x$enable_tests$duoshm_found_cunit" = xyesno],
	[AC_MSG_WARN([CUnit is not here: make check leaves out all tests written in C])])
])
