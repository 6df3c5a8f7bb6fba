// SPDX-License-Identifier: GPL-2.0
/* The PDU engine of the target. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include "nvmet.h"
#include "target_engine.h"
#include "helpers.c"
