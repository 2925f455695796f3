//! Other gateways, the real programs, each set up by its recipe in `docs/recipes`.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::http::Request;
use crate::scratch::{Scratch, free_port, repository};
use crate::wait;

/// Which program, and which of its recipes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Nginx,
    NginxShort,
    Caddy,
    Traefik,
    EnvoyHttp,
    EnvoyGrpc,
}

/// A running gateway that asks a server about every request. Ends when it is dropped.
#[derive(Debug)]
pub struct Peer {
    pub address: SocketAddr,
    child: Child,
    folder: Scratch,
}

impl Peer {
    /// Starts in front of `service`, selling the product `items` of the gateway that it asks, and waits until
    /// the gateway has refused a request without a key.
    pub fn start(kind: Kind, gateway: SocketAddr, token: &str, service: SocketAddr) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let folder = Scratch::new();
        let recipe = recipe(kind)
            .replace("127.0.0.1:8000", &address.to_string())
            .replace("port_value: 8000", &format!("port_value: {}", address.port()))
            .replace("127.0.0.1:8080", &gateway.to_string())
            .replace("port_value: 8080", &format!("port_value: {}", gateway.port()))
            .replace("127.0.0.1:9000", &service.to_string())
            .replace("port_value: 9000", &format!("port_value: {}", service.port()))
            .replace("VERIFIER_TOKEN", token)
            .replace("shipment-tracking", "items");
        let log = File::create(folder.path().join("output.log")).expect("a log can be written");
        let second = log.try_clone().expect("a file handle can be copied");
        let child = command(kind, folder.path(), address, &recipe)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .spawn()
            .expect("the other gateway can be started");
        let mut peer = Self { address, child, folder };
        peer.wait_until_it_asks();
        peer
    }

    fn wait_until_it_asks(&mut self) {
        wait::until("the other gateway to ask for a key", || {
            if let Some(status) = self.child.try_wait().expect("a child's state can be asked") {
                panic!("the other gateway ended ({status}):\n{}", self.output());
            }
            Request::get("/items").send(self.address).ok().filter(|answer| answer.status == 401)
        });
    }

    /// Everything the program printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn recipe(kind: Kind) -> String {
    let name = match kind {
        Kind::Nginx => "nginx.conf",
        Kind::NginxShort => "nginx-short.conf",
        Kind::Caddy => "Caddyfile",
        Kind::Traefik => "traefik.yaml",
        Kind::EnvoyHttp => "envoy-http.yaml",
        Kind::EnvoyGrpc => "envoy-grpc.yaml",
    };
    let path = repository().join("docs/recipes").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The command that runs a recipe, with what surrounds a recipe written to the folder.
fn command(kind: Kind, folder: &Path, address: SocketAddr, recipe: &str) -> Command {
    let write = |name: &str, content: &str| {
        std::fs::write(folder.join(name), content).expect("a file can be written to the folder");
    };
    let mut command = match kind {
        Kind::Nginx | Kind::NginxShort => Command::new("nginx"),
        Kind::Caddy => Command::new(installed("bin/caddy")),
        Kind::Traefik => Command::new(installed("bin/traefik")),
        Kind::EnvoyHttp | Kind::EnvoyGrpc => Command::new(installed("envoy/_bin/envoy")),
    };
    match kind {
        Kind::Nginx | Kind::NginxShort => {
            write("nginx.conf", &nginx(folder, recipe));
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
            command.args(["-e", "stderr", "-c"]).arg(folder.join("nginx.conf"));
        }
        Kind::Caddy => {
            write("Caddyfile", &format!("{{\n\tadmin off\n}}\n{recipe}"));
            command.args(["run", "--config", "Caddyfile"]);
        }
        Kind::Traefik => {
            write("dynamic.yaml", recipe);
            command.arg(format!("--entryPoints.web.address={address}"));
            command.arg("--providers.file.filename=dynamic.yaml");
        }
        Kind::EnvoyHttp | Kind::EnvoyGrpc => {
            write("envoy.yaml", recipe);
            let quiet = ["--log-level", "warning", "--concurrency", "1", "--use-dynamic-base-id"];
            command.args(["-c", "envoy.yaml"]).args(quiet);
        }
    }
    command
}

/// One process without a daemon, whose files are all in the folder.
fn nginx(folder: &Path, recipe: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n\
         access_log off;\nerror_log stderr;\nclient_body_temp_path {folder}/body;\n\
         proxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n{recipe}\n}}\n"
    )
}

/// A program that `tests/setup.sh` installed.
pub fn installed(name: &str) -> PathBuf {
    let folder = std::env::var_os("KEYTOLL_TEST_PEERS").map_or_else(cache, PathBuf::from);
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing; tests/setup.sh installs it", path.display());
    path
}

fn cache() -> PathBuf {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    own.unwrap_or_else(home).join("keytoll-tests/peers")
}
