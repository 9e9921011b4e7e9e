# A thin front for meson; everything real is in meson.build.
BUILD ?= build

.PHONY: all deps demo demo-lan test test-long install clean

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja: | deps
	meson setup $(BUILD)

deps:
	@tools/deps.sh

demo: all
	@tools/demo.sh $(BUILD)/culvert

demo-lan: all
	@tools/demo-lan.sh $(BUILD)/culvert

test: deps
	@tools/test.sh $(BUILD)

test-long: test
	@tools/test-long.sh $(BUILD)

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-cov build-fuzz
