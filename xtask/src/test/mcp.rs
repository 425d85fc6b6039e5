//! The ring of the MCP server: an agent's whole story with the published client, over stdio and over HTTP, and the public conformance suite, on the
//! development cluster.

use std::process::Command;

use anyhow::Result;

use super::tally::{Tally, say_into_log};
use crate::cluster::Cluster;
use crate::{paths, program, tools};

/// Where the server of the cluster answers.
const ADDRESS: &str = "http://127.0.0.1:8001/mcp";

/// Where the chart is installed and its local ports are open.
pub fn run(cluster: &Cluster) -> Result<((), Tally)> {
    let place = paths::repository().join("e2e/mcp");
    let python = tools::python_environment("mcp", &place.join("requirements.txt"))?;
    let suite = tools::node_environment("mcp", &place, &python)?;
    let mut story = program::command(&python);
    story.arg(place.join("story.py")).envs(environment(cluster)?);
    let mut total = counted("mcp-story", &mut story, of_story)?;
    let mut conformance = program::command("sh");
    conformance.arg(place.join("conformance.sh")).arg(&suite.node).arg(&suite.directory).arg(ADDRESS);
    total.add(counted("mcp-conformance", &mut conformance, of_conformance)?);
    Ok(((), total))
}

fn counted(name: &str, command: &mut Command, count: fn(&str) -> Tally) -> Result<Tally> {
    let (content, said) = say_into_log(name, command)?;
    let mut tally = count(&said);
    // A program that ended badly with nothing failed broke off; one that is content without having done anything was not asked.
    if !content && tally.failed == 0 || content && tally.passed == 0 {
        tally.failed += 1;
    }
    Ok(tally)
}

/// Where everything is.
fn environment(cluster: &Cluster) -> Result<Vec<(&'static str, String)>> {
    let template = "--output=go-template={{ .data.password | base64decode }}";
    Ok(vec![
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ("CRUCIBLE_MCP_PROGRAM", paths::target().join("debug/crucible-mcp").display().to_string()),
        ("CRUCIBLE_REST_URL", "http://127.0.0.1:8000".into()),
        ("CRUCIBLE_MCP_URL", ADDRESS.into()),
        ("CRUCIBLE_SUT_HOST", "mariadb.sut.svc:3306".into()),
        ("CRUCIBLE_SUT_DATABASE", "shop".into()),
        ("CRUCIBLE_SUT_USERNAME", "crucible".into()),
        ("CRUCIBLE_SUT_PASSWORD", cluster.kubectl(&["--namespace", "sut", "get", "secret", "mariadb", template])?),
    ])
}

/// The steps of the story, each of which says that it was done. The first that is not ends it.
fn of_story(said: &str) -> Tally {
    let steps = said.lines().filter(|line| line.split_once(": ").is_some_and(|(_, step)| step.split(' ').nth(1).is_some_and(|word| word.starts_with("ok"))));
    Tally { passed: steps.count() as u64, failed: 0 }
}

fn of_conformance(said: &str) -> Tally {
    let count = |word: &str| said.lines().filter(|line| line.starts_with(word)).count() as u64;
    Tally { passed: count("ok      "), failed: count("FAILED  ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_story_counts_and_nothing_else() {
        let said = "stdio: list_supported_suts ok\nstdio: wait_for_run ok, told 4 times on the way\nhttp: explain_run ok\nthe story does not hold: explain_run: {\"error\": \"ok\"}\n";
        assert_eq!(of_story(said), Tally { passed: 3, failed: 0 });
    }

    #[test]
    fn every_scenario_counts() {
        assert_eq!(of_conformance("ok      ping\nFAILED  tools-list\nok\nsome text\nok      prompts-list\n"), Tally { passed: 2, failed: 1 });
    }
}
