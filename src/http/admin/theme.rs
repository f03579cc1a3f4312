//! Light, dark, or as the system: a cookie, set by a plain form.

use std::fmt;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::cookies::{self, Cookie};
use super::error::AdminError;
use super::request::Form;
use super::state::AdminState;

/// How the pages are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the browser says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl fmt::Display for Theme {
    /// The name that cookie, style sheet and symbols share.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        })
    }
}

impl Theme {
    /// The theme of a cookie's value; anything odd is the system's.
    pub fn parse(value: &str) -> Self {
        [Self::Light, Self::Dark].into_iter().find(|theme| theme.to_string() == value).unwrap_or_default()
    }
}

/// The switch's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThemeForm {
    theme: Theme,
    back: String,
}

/// Sets the theme and goes back to where the switch stood.
pub async fn switch(State(state): State<AdminState>, Form(form): Form<ThemeForm>) -> Result<Response, AdminError> {
    let value = form.theme.to_string();
    let cookie = Cookie::new(cookies::THEME, &value).lasting(cookies::YEAR_S);
    Ok(([state.set_cookie(&cookie)], Redirect::to(own_path(&form.back))).into_response())
}

/// `path` when it is one of the admin pages', else the overview: a form cannot send anybody elsewhere.
pub fn own_path(path: &str) -> &str {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let below = path.strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if plain && below { path } else { "/admin" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_admin_pages_alone() {
        for good in ["/admin", "/admin/tenants/a?state=failed", "/admin?note=1"] {
            assert_eq!(own_path(good), good);
        }
        for bad in ["", "//evil", "/admin.evil", "/adminevil", "https://evil/admin", "/admin\\..", "/admin\r\nX: 1"] {
            assert_eq!(own_path(bad), "/admin", "{bad:?}");
        }
    }

    #[test]
    fn an_odd_theme_is_the_systems() {
        assert_eq!(
            ["dark", "light", "system", "\"><b>", ""].map(|value| Theme::parse(value).to_string()),
            ["dark", "light", "system", "system", "system"]
        );
    }
}
