//! What the gateway may do in the cluster: the one list that the chart's roles are checked against, next to the calls. What a caller may do
//! of it is asked for each call ([`crate::access`]).

/// One line of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it is needed.
    pub scope: Scope,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource.
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
    /// In the namespace of the earlier system's routes.
    Legacy,
    /// In the whole cluster, where callers are told apart.
    Cluster,
}

/// Every grant that the gateway needs. Secrets are read by name, never listed.
pub const GRANTS: &[Grant] = &[
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testruns",
        verbs: &["create", "delete", "get", "list", "patch", "watch"],
        why: "runs::watch follows them; legacy::start and native create them, and remove what could not be made whole; legacy::stop and native::runs patch them; native::runs deletes them",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "testplans",
        verbs: &["create", "delete", "get", "list", "patch"],
        why: "legacy::shared makes those that runs share, marks and removes them; native::plans makes, reads and removes whichever are named; pages::plans lists and reads them",
    },
    Grant {
        scope: Scope::Watched,
        group: "crucible.dev",
        resource: "fixtures",
        verbs: &["create", "delete", "get", "list"],
        why: "native::fixtures makes, reads and removes those that are named; pages::fixtures lists them",
    },
    Grant {
        scope: Scope::Legacy,
        group: "",
        resource: "secrets",
        verbs: &["create", "delete", "get", "patch"],
        why: "legacy::stored keeps the password of a stored plan; legacy::shared makes and removes those that runs share",
    },
    Grant { scope: Scope::Cluster, group: "authentication.k8s.io", resource: "tokenreviews", verbs: &["create"], why: "auth asks whose a token is" },
    Grant { scope: Scope::Cluster, group: "authorization.k8s.io", resource: "subjectaccessreviews", verbs: &["create"], why: "auth asks who may what" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_wholesale_and_secrets_are_never_listed() {
        for grant in GRANTS {
            assert!(grant.verbs.iter().all(|verb| *verb != "*") && grant.resource != "*" && grant.group != "*", "{grant:?}");
            assert!(grant.verbs.is_sorted(), "{grant:?}");
            if grant.resource == "secrets" {
                assert!(grant.scope == Scope::Legacy && !grant.verbs.contains(&"list") && !grant.verbs.contains(&"watch"));
            }
        }
    }
}
