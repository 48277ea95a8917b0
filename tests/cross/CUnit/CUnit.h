/* SPDX-License-Identifier: MIT */
#include "CUnit/Basic.h"
