//! No circle of files inside a crate: what uses a file is never used by it, directly or through
//! others.
//!
//! An arrow leads from file A to file B if A names something that B defines. Re-exports are
//! followed to the file that defines the name, so a `mod.rs` that only lists its files ties nothing
//! together. Tests inside a file, and modules that exist only for tests, are left out.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// The roots of the crates: each crate's folder of sources, and its first file.
const CRATES: [(&str, &str); 9] = [
    ("model/src", "lib.rs"),
    ("dataflow/src", "lib.rs"),
    ("connectors/src", "lib.rs"),
    ("runtime/src", "lib.rs"),
    ("server/src", "lib.rs"),
    ("benches/src", "lib.rs"),
    ("testing/src", "lib.rs"),
    ("xtask/src", "main.rs"),
    ("src", "main.rs"),
];

/// A module by its path below the crate: `["operators", "source"]`; empty for the crate's root.
type ModulePath = Vec<String>;

/// A file with its module, and what it says of others.
#[derive(Debug, Default)]
struct Module {
    /// The file, below the crate's folder.
    file: String,
    /// The names of its modules, inline ones included.
    children: BTreeSet<String>,
    /// Names that it imports, and the path that each stands for.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of modules from which it imports everything.
    globs: Vec<Vec<String>>,
    /// Every path that it names, in imports and in code.
    paths: BTreeSet<Vec<String>>,
}

/// Collects the modules, imports and paths of one file.
struct Collector<'a> {
    module: &'a mut Module,
    /// Modules that stand in files of their own.
    files: Vec<(String, Option<String>)>,
}

/// Returns whether an item exists only in tests.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let tokens = match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
            _ => return false,
        };
        tokens.split(|next: char| !next.is_alphanumeric()).any(|word| word == "test")
    })
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

impl Collector<'_> {
    fn import(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: String| [prefix, &[name]].concat();
        match tree {
            syn::UseTree::Path(path) => self.import(&with(path.ident.to_string()), &path.tree),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.import(prefix, item)),
            syn::UseTree::Glob(_) => {
                self.module.globs.push(prefix.to_vec());
                self.module.paths.insert(prefix.to_vec());
            }
            syn::UseTree::Name(name) => self.name(prefix, &name.ident.to_string(), None),
            syn::UseTree::Rename(rename) => {
                self.name(prefix, &rename.ident.to_string(), Some(rename.rename.to_string()));
            }
        }
    }

    fn name(&mut self, prefix: &[String], name: &str, renamed: Option<String>) {
        let is_self = name == "self";
        let path = if is_self { prefix.to_vec() } else { [prefix, &[name.to_owned()]].concat() };
        let local = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
        self.module.paths.insert(path.clone());
        self.module.imports.insert(local, path);
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.children.insert(item.ident.to_string());
        match &item.content {
            Some((_, items)) => items.iter().for_each(|item| self.visit_item(item)),
            None => self.files.push((item.ident.to_string(), path_attribute(&item.attrs))),
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// `pub(crate)` names a module, but uses nothing of it.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// Reads a module and the modules below it.
fn read(folder: &Path, file: &Path, path: ModulePath, modules: &mut BTreeMap<ModulePath, Module>) {
    let text = std::fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.strip_prefix(folder).unwrap().display().to_string();
    let mut module = Module { file: name, ..Module::default() };
    let mut collector = Collector { module: &mut module, files: Vec::new() };
    parsed.items.iter().for_each(|item| collector.visit_item(item));
    let below: PathBuf = match file.file_stem().unwrap().to_str().unwrap() {
        "lib" | "main" | "mod" => file.parent().unwrap().to_path_buf(),
        stem => file.with_file_name(stem),
    };
    for (child, named) in collector.files {
        let candidates = match named {
            Some(named) => vec![file.parent().unwrap().join(named)],
            None => vec![below.join(format!("{child}.rs")), below.join(&child).join("mod.rs")],
        };
        // A file that another step of the build makes is no source.
        if let Some(found) = candidates.iter().find(|candidate| candidate.exists()) {
            read(folder, found, [path.clone(), vec![child]].concat(), modules);
        }
    }
    modules.insert(path, module);
}

/// Returns the module that defines what `path` names, seen from the module `from`; `None` for names
/// of other crates.
fn definition(
    modules: &BTreeMap<ModulePath, Module>,
    from: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    // A re-export of a re-export of …: no honest one goes deeper.
    if depth > 16 {
        return None;
    }
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        name if modules[from].children.contains(name) => [from.clone(), vec![name.to_owned()]].concat(),
        name => {
            let imported = modules[from].imports.get(name)?;
            if imported == path {
                return None;
            }
            let whole = [imported, rest].concat();
            return definition(modules, from, &whole, depth + 1);
        }
    };
    while let Some((next, further)) = rest.split_first() {
        if next == "super" {
            at.pop();
            rest = further;
            continue;
        }
        let deeper = [at.clone(), vec![next.clone()]].concat();
        let Some(module) = modules.get(&at) else { break };
        if modules.contains_key(&deeper) {
            at = deeper;
            rest = further;
        } else if let Some(imported) = module.imports.get(next) {
            let whole = [imported, further].concat();
            return definition(modules, &at, &whole, depth + 1).or(Some(at));
        } else {
            let through_glob = module.globs.iter().find_map(|glob| {
                let source = definition(modules, &at, glob, depth + 1)?;
                (source != at).then_some(source)
            });
            return Some(through_glob.unwrap_or(at));
        }
    }
    Some(at)
}

/// Returns the arrows between the files of a crate.
fn arrows(folder: &Path, first: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut modules = BTreeMap::new();
    read(folder, &folder.join(first), Vec::new(), &mut modules);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, module) in &modules {
        let from = arrows.entry(module.file.clone()).or_default();
        for named in &module.paths {
            let Some(target) = definition(&modules, path, named, 0) else { continue };
            // An inline module is part of its file.
            let mut target = target;
            while !modules.contains_key(&target) {
                target.pop();
            }
            let file = &modules[&target].file;
            let lists_only = modules[&target].imports.values().any(|import| import == named);
            if *file != module.file && !lists_only {
                from.insert(file.clone());
            }
        }
    }
    arrows
}

/// Returns the circles: groups of files of which each leads to every other.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            for next in arrows.get(file).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|file| (file, reach(file))).collect();
    let mut found = BTreeSet::new();
    for (file, to) in &reached {
        let group: Vec<String> = to
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)))
            .cloned()
            .collect();
        if !group.is_empty() {
            found.insert(group);
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut problems = Vec::new();
    for (folder, first) in CRATES {
        let arrows = arrows(&root.join(folder), first);
        assert!(arrows.len() > 2, "{folder}: only {} files were found", arrows.len());
        let circles = circles(&arrows);
        for circle in circles {
            let lines: Vec<String> = circle
                .iter()
                .map(|file| {
                    let inside: Vec<&String> = arrows[file].iter().filter(|to| circle.contains(to)).collect();
                    format!("    {file} -> {inside:?}")
                })
                .collect();
            problems.push(format!("{folder}: a circle of {} files\n{}", circle.len(), lines.join("\n")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::B;\n");
    write("a.rs", "use crate::B;\npub struct A(B);\n");
    write("b.rs", "pub struct B;\nimpl B { pub fn c(&self) -> crate::c::C { todo() } }\n");
    write("c.rs", "pub struct C;\n#[cfg(test)]\nmod tests { use crate::a::A; }\n");
    let before = arrows(folder.path(), "lib.rs");
    assert_eq!(before["a.rs"], ["b.rs".to_owned()].into());
    assert_eq!(circles(&before), Vec::<Vec<String>>::new());
    write("c.rs", "use super::a;\npub struct C(a::A);\n");
    let after = arrows(folder.path(), "lib.rs");
    assert_eq!(circles(&after), [["a.rs", "b.rs", "c.rs"].map(str::to_owned).to_vec()]);
}
