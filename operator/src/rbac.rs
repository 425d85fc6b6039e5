//! What the operator may do in the cluster: the one list that the chart's roles are checked against, next to the calls.

/// One line of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it is needed.
    pub scope: Scope,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: &'static str,
    /// The verbs, sorted.
    pub verbs: &'static [&'static str],
    /// Which calls need it.
    pub why: &'static str,
}

/// Where a grant is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every namespace that is watched.
    Watched,
    /// In the operator's own namespace.
    Own,
}

/// Every grant that the operator needs. There is no `list` of Secrets: they are read by name only.
pub const GRANTS: &[Grant] = &[
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testruns",
        verbs: &["delete", "get", "list", "patch", "watch"],
        why: "run::triggers watches; run::observe gets holders and lists the queue; run::apply marks, lets go and removes runs whose time has passed; mirror watches, holds and lets go",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testruns/status",
        verbs: &["patch"],
        why: "run::apply writes the status, mirror its one condition",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testruns/finalizers",
        verbs: &["update"],
        why: "run::apply creates children whose owner reference blocks the run's deletion",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testplans",
        verbs: &["get", "list", "watch"],
        why: "run::observe reads plans; plan and run::triggers watch them",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "fixtures",
        verbs: &["get", "list", "watch"],
        why: "run::observe and loaders read what a run loads; fixture watches them",
    },
    Grant { scope: Scope::Watched, group: "crucible.dev", resource: "fixtures/status", verbs: &["patch"], why: "fixture writes what it found" },
    Grant { scope: Scope::Watched, group: "crucible.dev", resource: "testplans/status", verbs: &["patch"], why: "plan writes what it found" },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "configmaps",
        verbs: &["create", "get"],
        why: "run::apply freezes plans; run::observe reads frozen plans and workloads",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "secrets",
        verbs: &["create", "get"],
        why: "run::apply makes the run's token; run::observe reads the keys of credentials and the token, by name",
    },
    Grant {
        scope: Scope::Watched,
        group: "batch",
        resource: "jobs",
        verbs: &["create", "delete", "get", "list", "watch"],
        why: "run::apply makes and removes the workers and the loader; run::triggers watches for lost ones",
    },
    Grant {
        scope: Scope::Watched,
        group: "",
        resource: "pods",
        verbs: &["get", "list", "watch"],
        why: "run::observe lists the workers' pods; run::triggers watches for trouble",
    },
    Grant { scope: Scope::Watched, group: "", resource: "events", verbs: &["list"], why: "run::observe reads why a Job's pods are refused" },
    Grant { scope: Scope::Watched, group: "events.k8s.io", resource: "events", verbs: &["create"], why: "notices tells people what has happened" },
    Grant { scope: Scope::Watched, group: "", resource: "namespaces", verbs: &["get"], why: "chaos reads whether a namespace lets faults in" },
    Grant { scope: Scope::Watched, group: "apps", resource: "deployments", verbs: &["list"], why: "chaos reads which version of Chaos Mesh is there" },
    fault("podchaos"),
    fault("networkchaos"),
    fault("stresschaos"),
    fault("iochaos"),
    fault("timechaos"),
    fault("dnschaos"),
    fault("httpchaos"),
    fault("physicalmachinechaos"),
    Grant {
        scope: Scope::Own,
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["create", "delete", "get", "list", "update", "watch"],
        why: "leader elects; run::apply takes and gives back systems under test; run::triggers watches for returned ones",
    },
];

/// What a kind of Chaos Mesh needs.
const fn fault(resource: &'static str) -> Grant {
    Grant {
        scope: Scope::Watched,
        group: "chaos-mesh.org",
        resource,
        verbs: &["create", "delete", "get", "list", "patch"],
        why: "chaos finds out whether the kind is served, injects faults, follows them, heals them and takes them away",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_wholesale_and_secrets_are_never_listed() {
        for grant in GRANTS {
            assert!(grant.verbs.iter().all(|verb| *verb != "*") && grant.resource != "*" && grant.group != "*", "{grant:?}");
            assert!(grant.verbs.is_sorted(), "{grant:?}");
            if grant.resource == "secrets" {
                assert_eq!(grant.verbs, ["create", "get"]);
            }
        }
    }
}
