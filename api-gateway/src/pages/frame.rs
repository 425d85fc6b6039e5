//! What every page has around its content.

use crucible_lifecycle::results::pieces::markup::text;

use super::assets;
use crate::{auth::Gate, state::Gateway};

/// Which of the main pages a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// The runs.
    Runs,
    /// The plans.
    Plans,
    /// The datasets.
    Fixtures,
    /// Two runs side by side.
    Compare,
    /// None of them.
    Nowhere,
    /// None, and whoever sees it is not signed in.
    Outside,
}

const PLACES: [(Here, &str, &str); 4] = [
    (Here::Runs, "/ui/", "Runs"),
    (Here::Plans, "/ui/plans", "Plans"),
    (Here::Fixtures, "/ui/fixtures", "Fixtures"),
    (Here::Compare, "/ui/compare", "Compare"),
];

/// A page in the making.
pub struct Frame<'a> {
    /// What it is called.
    pub title: &'a str,
    /// Where it belongs.
    pub here: Here,
    /// Its content, as markup.
    pub main: String,
    /// After how many seconds a browser asks for it again by itself.
    pub again: Option<u32>,
    /// The same, only where no script keeps it up to date.
    pub again_without_script: Option<u32>,
}

impl<'a> Frame<'a> {
    /// A page about runs that stays as it is.
    pub fn new(title: &'a str, main: String) -> Self {
        Self { title, here: Here::Runs, main, again: None, again_without_script: None }
    }

    /// The whole page.
    pub fn page(&self, gateway: &Gateway) -> String {
        let Self { title, here, main, again, again_without_script } = self;
        let refresh = |seconds: &u32| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">");
        let again = again.as_ref().map(refresh).unwrap_or_default();
        let without = again_without_script.as_ref().map(|seconds| format!("<noscript>{}</noscript>", refresh(seconds))).unwrap_or_default();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{} · Crucible</title>\n<link rel=\"stylesheet\" href=\"{}\">\n<link rel=\"icon\" href=\"{}\">\n<script src=\"{}\" defer></script>\n{again}{without}\
             </head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n{}<main id=\"main\">\n{main}\n</main>\n</body>\n</html>\n",
            text(title),
            assets::address("style.css"),
            assets::address("icon.svg"),
            assets::address("app.js"),
            bar(gateway, *here),
        )
    }
}

/// The bar above every page.
fn bar(gateway: &Gateway, here: Here) -> String {
    let link = |(place, address, name): &(Here, &str, &str)| {
        let current = if *place == here { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{address}\"{current}>{name}</a>")
    };
    let links: String = if here == Here::Outside { String::new() } else { PLACES.iter().map(link).collect() };
    let asks = !matches!(gateway.gate, Gate::Open { .. });
    let out = if asks && here != Here::Outside { "<form method=\"post\" action=\"/ui/logout\"><button>Sign out</button></form>" } else { "" };
    format!("<header class=\"bar\"><a class=\"brand\" href=\"/ui/\">Crucible</a><nav aria-label=\"Pages\">{links}</nav>{out}</header>\n")
}
