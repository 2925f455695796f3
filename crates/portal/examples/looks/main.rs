//! Writes a labelled sample of every page to a folder, to be looked at in a browser:
//! `cargo run -p keytoll-portal --example looks -- FOLDER`. The addresses of assets are made relative.

mod samples;

use std::path::PathBuf;

use keytoll_portal::ui::Theme;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "looks".into()));
    std::fs::create_dir_all(folder.join("assets"))?;
    for name in ["portal.css", "icon.svg", "copy.js", "dialog.js", "live.js", "theme.js"] {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name);
        let url = keytoll_portal::assets::url(name).trim_start_matches('/');
        std::fs::copy(source, folder.join(url))?;
    }
    for theme in [Theme::Light, Theme::Dark] {
        for (name, page) in samples::all(theme) {
            let page = page.replace("\"/assets/", "\"assets/");
            std::fs::write(folder.join(format!("{name}-{}.html", theme.as_str())), page)?;
        }
    }
    Ok(())
}
