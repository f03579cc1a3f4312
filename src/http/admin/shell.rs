//! What every page has around its content, and how a page becomes a response.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::assets::AssetUrls;
use super::error::AdminError;
use super::notes::Note;
use super::theme::Theme;

/// Where a page belongs in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// How everything fares.
    Overview,
    /// Tenants, their documents and questions.
    Tenants,
    /// Work.
    Jobs,
    /// Tokens.
    Tokens,
    /// Who did what.
    Audit,
    /// Nowhere: sign in, password, errors.
    None,
}

/// One entry of the navigation.
#[derive(Debug, Clone, Copy)]
pub struct NavItem {
    /// Its page.
    pub href: &'static str,
    /// Its symbol.
    pub icon: &'static str,
    /// Its name.
    pub label: &'static str,
    /// Whether the page at hand belongs to it.
    pub current: bool,
}

/// One button of the theme switch.
#[derive(Debug, Clone, Copy)]
pub struct ThemeChoice {
    /// What it sets.
    pub theme: Theme,
    /// What it is called.
    pub label: &'static str,
    /// Whether it is set.
    pub pressed: bool,
}

/// What every page has around its content.
#[derive(Debug, Clone)]
pub struct Shell {
    /// Light, dark, or as the system.
    pub theme: Theme,
    /// The path below which browsers find everything, such as `/carrel`; every link and form begins with it.
    pub base: Arc<str>,
    /// This page's path and query, where the theme switch comes back to.
    pub here: String,
    /// Where the page belongs.
    pub section: Section,
    /// What the step before has to tell.
    pub note: Option<Arc<Note>>,
    /// Style sheet, script, icon.
    pub assets: AssetUrls,
    /// Carrel's version.
    pub version: &'static str,
}

impl Shell {
    /// A shell without a note.
    pub fn new(theme: Theme, here: String, section: Section) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { theme, base: Arc::default(), here, section, note: None, assets: AssetUrls::current(), version }
    }

    /// The navigation.
    pub fn nav(&self) -> [NavItem; 5] {
        [
            ("/admin", "overview", "Overview", Section::Overview),
            ("/admin/tenants", "tenants", "Tenants", Section::Tenants),
            ("/admin/jobs", "jobs", "Jobs", Section::Jobs),
            ("/admin/tokens", "key", "Tokens", Section::Tokens),
            ("/admin/audit", "audit", "Audit log", Section::Audit),
        ]
        .map(|(href, icon, label, section)| NavItem { href, icon, label, current: section == self.section })
    }

    /// The theme switch.
    pub fn themes(&self) -> [ThemeChoice; 3] {
        [(Theme::System, "As the system"), (Theme::Light, "Light"), (Theme::Dark, "Dark")]
            .map(|(theme, label)| ThemeChoice { theme, label, pressed: theme == self.theme })
    }
}

/// A rendered page.
pub fn page(template: &impl Template) -> Result<Response, AdminError> {
    page_with(StatusCode::OK, template)
}

/// A rendered page with a status of its own, for forms that come back with what is wrong.
pub fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, AdminError> {
    let html = template.render().map_err(AdminError::Render)?;
    Ok((status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}
