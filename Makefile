# Short names for the commands that CONTRIBUTING.md explains; nothing here holds logic.
.PHONY: demo test cases lint bench fmt doc

demo:
	cargo run --release --locked -- demo

test:
	@tests/run.sh

cases:
	@tests/run.sh cases

lint:
	@tests/run.sh lint

bench:
	@bench/run.sh

fmt:
	cargo fmt --all

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
