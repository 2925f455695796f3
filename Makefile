# Short names for the commands that CONTRIBUTING.md explains; nothing here holds logic.
.PHONY: demo test cases loom lint bench fmt doc

demo:
	cargo run --release --locked -- demo

test:
	@tests/run.sh

cases:
	@tests/run.sh cases

loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p keytoll-domain --locked --test loom_cells

lint:
	@tests/run.sh lint

bench:
	@bench/run.sh

fmt:
	cargo fmt --all

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
