// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of a host controller in /sys/class/nvme/nvmeN, beside those of the
 * nvme core. Included by host_engine.c.
 */

static ssize_t engine_attr_show(struct device *dev, char *buf,
				enum host_engine_attr which)
{
	struct nvme_ctrl *ctrl = dev_get_drvdata(dev);
	struct host_engine *engine = to_engine(ctrl);

	return engine->ops->show_attr(engine->owner, which, buf, PAGE_SIZE);
}

#define ENGINE_ATTR(name, which)					\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return engine_attr_show(dev, buf, which);			\
}									\
static DEVICE_ATTR_RO(name)

ENGINE_ATTR(mptcp_subflows, HOST_ATTR_SUBFLOWS);
ENGINE_ATTR(mptcp_fallback, HOST_ATTR_FALLBACK);
ENGINE_ATTR(mptcp_policy, HOST_ATTR_POLICY);
ENGINE_ATTR(mptcp_congestion, HOST_ATTR_CONGESTION);

static struct attribute *engine_attrs[] = {
	&dev_attr_mptcp_subflows.attr,
	&dev_attr_mptcp_fallback.attr,
	&dev_attr_mptcp_policy.attr,
	&dev_attr_mptcp_congestion.attr,
	NULL
};

static const struct attribute_group engine_attrs_group = {
	.attrs = engine_attrs,
};

/* Those of the nvme core, but for TLS; and ours. */
const struct attribute_group *host_engine_attr_groups[] = {
	&nvme_dev_attrs_group,
	&nvme_dev_diag_attrs_group,
	&engine_attrs_group,
	NULL
};
