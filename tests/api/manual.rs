//! The manual and the README tell what is so: what they say is held against the code, and their commands are run.

mod commands;
mod contract;
mod settings;
mod shell;

use std::path::{Path, PathBuf};

/// A page: its path from the repository's root, and its text.
struct Page {
    path: String,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        Self { path: path.to_owned(), text: std::fs::read_to_string(repository().join(path)).unwrap() }
    }

    /// A page of the manual by its name.
    fn of_manual(name: &str) -> Self {
        Self::read(&format!("documents/demo/{name}.md"))
    }

    /// The README and every page of the manual.
    fn all() -> Vec<Self> {
        let folder = std::fs::read_dir(repository().join("documents/demo")).unwrap();
        let mut names: Vec<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let pages = names.iter().map(|name| Self::read(&format!("documents/demo/{name}")));
        std::iter::once(Self::read("README.md")).chain(pages).collect()
    }

    /// The blocks of code in this language.
    fn blocks(&self, language: &str) -> Vec<String> {
        let begin = format!("```{language}\n");
        let parts = self.text.split(&begin).skip(1);
        parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
    }

    /// What stands between single backticks outside of blocks.
    fn spans(&self) -> Vec<String> {
        let outside = self.text.split("```").step_by(2);
        outside.flat_map(|text| text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Lines of a list, which begin with a hyphen, below a heading and above the next.
    fn items(&self, heading: &str) -> Vec<&str> {
        let section = self.text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
        let section = section.split("\n## ").next().unwrap();
        section.lines().filter(|line| line.starts_with("- ")).collect()
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, but for tests and what only they use.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, "tests" | "samples" | "snapshots") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") && !name.ends_with("tests.rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}
