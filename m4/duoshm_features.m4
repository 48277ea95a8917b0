# SPDX-License-Identifier: MIT
# What of the project is built: tools, tests, examples, and how strictly.

# DUOSHM_ARG_FEATURES
AC_DEFUN([DUOSHM_ARG_FEATURES], [
DUOSHM_ARG_PART([tools], [TOOLS], [the programs device, client, detach and compare])
DUOSHM_ARG_PART([tests], [TESTS], [what make check runs])
DUOSHM_ARG_PART([examples], [EXAMPLES], [the example programs])
])

# DUOSHM_YES_OR_NO(OPTION, VALUE): a misspelt value is an error, not a yes.
AC_DEFUN([DUOSHM_YES_OR_NO], [
AS_CASE([$2], [yes|no], [], [AC_MSG_ERROR([$1=$2: it is yes or no])])
])

# DUOSHM_ARG_PART(NAME, CONDITIONAL, WHAT)
AC_DEFUN([DUOSHM_ARG_PART], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--disable-$1], [do not build $3])], [], [enable_$1=yes])
DUOSHM_YES_OR_NO([--enable-$1], [$enable_$1])
AM_CONDITIONAL([WITH_$2], [test "x$enable_$1" != xno])
])

# DUOSHM_TRY_CFLAG(FLAG, VARIABLE): append FLAG to VARIABLE where the compiler takes it without a word.
AC_DEFUN([DUOSHM_TRY_CFLAG], [
AS_VAR_PUSHDEF([cachevar], [duoshm_cv_cflag_$1])
AC_CACHE_CHECK([whether $CC accepts $1], [cachevar], [
	duoshm_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $1"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[AS_VAR_SET([cachevar], [yes])], [AS_VAR_SET([cachevar], [no])])
	CFLAGS=$duoshm_save_CFLAGS
])
AS_VAR_IF([cachevar], [yes], [AS_VAR_APPEND([$2], [" $1"])])
AS_VAR_POPDEF([cachevar])
])

# DUOSHM_CHECK_WARNINGS: the project's warnings, in WARN_CFLAGS; the user's CFLAGS stay the user's.
# -Wtype-limits is left out: a check that 64 bits need is constant with 32.
AC_DEFUN([DUOSHM_CHECK_WARNINGS], [
AC_ARG_ENABLE([werror],
	[AS_HELP_STRING([--enable-werror], [treat compiler warnings as errors])],
	[], [enable_werror=no])
DUOSHM_YES_OR_NO([--enable-werror], [$enable_werror])
WARN_CFLAGS=
m4_foreach_w([flag], [-Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef
	-Wvla -Wformat=2 -Wimplicit-fallthrough -Wno-type-limits],
	[DUOSHM_TRY_CFLAG(flag, [WARN_CFLAGS])])
AS_IF([test "x$enable_werror" != xno], [AS_VAR_APPEND([WARN_CFLAGS], [" -Werror"])])
AC_SUBST([WARN_CFLAGS])
])

# DUOSHM_CHECK_SANITIZERS: --enable-sanitizers=address,undefined
AC_DEFUN([DUOSHM_CHECK_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
	[AS_HELP_STRING([--enable-sanitizers=LIST],
		[compile with these sanitizers, such as address,undefined])],
	[], [enable_sanitizers=no])
SANITIZER_FLAGS=
AS_CASE([$enable_sanitizers],
	[no], [],
	[yes|''], [enable_sanitizers=address,undefined])
AS_IF([test "x$enable_sanitizers" != xno], [
	SANITIZER_FLAGS="-fsanitize=$enable_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
	AC_MSG_CHECKING([whether $CC links with $SANITIZER_FLAGS])
	duoshm_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $SANITIZER_FLAGS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([--enable-sanitizers=$enable_sanitizers: $CC cannot link with that])])
	CFLAGS=$duoshm_save_CFLAGS
])
AC_SUBST([SANITIZER_FLAGS])
])

# DUOSHM_CHECK_COVERAGE: --enable-coverage compiles for gcov.
AC_DEFUN([DUOSHM_CHECK_COVERAGE], [
AC_ARG_ENABLE([coverage],
	[AS_HELP_STRING([--enable-coverage], [compile for gcov; make coverage then reports])],
	[], [enable_coverage=no])
DUOSHM_YES_OR_NO([--enable-coverage], [$enable_coverage])
COVERAGE_FLAGS=
AS_IF([test "x$enable_coverage" != xno], [
	COVERAGE_FLAGS=--coverage
	AC_MSG_CHECKING([whether $CC links with --coverage])
	duoshm_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $COVERAGE_FLAGS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([--enable-coverage: $CC cannot link with --coverage])])
	CFLAGS=$duoshm_save_CFLAGS
])
AC_SUBST([COVERAGE_FLAGS])
AM_CONDITIONAL([WITH_COVERAGE], [test "x$enable_coverage" != xno])
])

# DUOSHM_CHECK_VERSION_SCRIPT: is the symbol map understood? Elsewhere libtool exports by pattern.
AC_DEFUN([DUOSHM_CHECK_VERSION_SCRIPT], [
AC_CACHE_CHECK([whether the linker takes a version script], [duoshm_cv_version_script], [
	duoshm_save_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.map"
	AS_ECHO(["DUOSHM_TEST { global: duoshm_@<:@a-z@:>@*; local: *; };"]) > conftest.map
	AC_LINK_IFELSE([AC_LANG_SOURCE([[int duoshm_x(void); int duoshm_x(void) { return 0; }]])],
		[duoshm_cv_version_script=yes], [duoshm_cv_version_script=no])
	rm -f conftest.map
	LDFLAGS=$duoshm_save_LDFLAGS
])
AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test "x$duoshm_cv_version_script" = xyes])
])

# DUOSHM_CHECK_BINDING: the library's own calls of its public functions go straight there, and not by
# the table through which a program could put another in their place.
AC_DEFUN([DUOSHM_CHECK_BINDING], [
DUOSHM_TRY_CFLAG([-fno-semantic-interposition], [BINDING_CFLAGS])
AC_SUBST([BINDING_CFLAGS])
AC_CACHE_CHECK([whether the linker binds functions], [duoshm_cv_binds_functions], [
	duoshm_save_LDFLAGS=$LDFLAGS
	LDFLAGS="$LDFLAGS -shared -fPIC -Wl,-Bsymbolic-functions"
	AC_LINK_IFELSE([AC_LANG_SOURCE([[int duoshm_x(void); int duoshm_x(void) { return 0; }]])],
		[duoshm_cv_binds_functions=yes], [duoshm_cv_binds_functions=no])
	LDFLAGS=$duoshm_save_LDFLAGS
])
AS_IF([test "x$duoshm_cv_binds_functions" = xyes],
	[AC_SUBST([BINDING_LDFLAGS], [-Wl,-Bsymbolic-functions])])
])
