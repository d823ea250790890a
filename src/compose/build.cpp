#include "compose/build.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "compose/dockerfile.h"
#include "compose/fields.h"

namespace trailer::compose {
namespace {

namespace fs = std::filesystem;

bool is_remote(std::string_view context) {
    return context.find("://") != context.npos || context.starts_with("git@") ||
           context.starts_with("github.com/");
}

}  // namespace

std::optional<std::string> Images::add(const Node& build, const std::string& name,
                                       const std::string& reference) {
    const auto faults = findings_.faults.size();
    const auto left_out = findings_.unsupported.size();
    Document document{.kind = protocol::Kind::image, .name = name};
    document.places = {{"", build.place}};
    auto spec = read(build, document.places);
    spec.reference = protocol::with_tag(reference);
    if (spec.dockerfile.empty()) {
        if (findings_.faults.size() == faults && findings_.unsupported.size() == left_out) {
            findings_.fault(build, "its Dockerfile is empty");
        }
        return std::nullopt;
    }
    document.value["spec"] = spec_json(spec);
    for (const auto& known : documents_) {
        if (known.value.at("spec") == document.value.at("spec")) return known.name;
    }
    documents_.push_back(std::move(document));
    return name;
}

protocol::ImageSpec Images::read(const Node& build, Places& places) {
    protocol::ImageSpec spec;
    if (build.is_scalar()) {
        if (is_remote(build.text)) {
            findings_.leave_out(build, "a context that is not on this machine is not supported");
        } else {
            read_dockerfile(build, (fs::path(build.text) / "Dockerfile").string(), spec);
        }
        return spec;
    }
    Fields fields(build, findings_);
    const auto* context = fields.take("context");
    const auto* file = fields.take("dockerfile");
    const auto* text = fields.take("dockerfile_inline");
    const auto root = context == nullptr ? std::string(".") : read_text(*context, findings_);
    if (const auto* args = fields.take("args")) {
        for (const auto& pair : read_pairs(*args, findings_)) {
            places[wire::append_pointer("/spec/build_args", pair.name)] = pair.node->place;
            if (pair.value) {
                spec.build_args[pair.name] = *pair.value;
            } else if (const auto found = variables_.find(pair.name); found != variables_.end()) {
                spec.build_args[pair.name] = found->second;
            }
        }
    }
    if (const auto* pull = fields.take("pull")) {
        spec.pull = read_bool(*pull, findings_).value_or(false);
    }
    fields.leave_out({"additional_contexts",
                      "cache_from",
                      "cache_to",
                      "entitlements",
                      "extra_hosts",
                      "isolation",
                      "labels",
                      "network",
                      "no_cache",
                      "no_cache_filter",
                      "platforms",
                      "privileged",
                      "provenance",
                      "sbom",
                      "secrets",
                      "shm_size",
                      "ssh",
                      "tags",
                      "target",
                      "ulimits"});
    fields.finish();
    if (text != nullptr) {
        if (file != nullptr) findings_.fault(*text, "excludes `dockerfile`");
        spec.dockerfile = read_text(*text, findings_);
        refuse_context(*text, "", spec.dockerfile);
    } else if (is_remote(root)) {
        findings_.leave_out(*context, "a context that is not on this machine is not supported");
    } else {
        const auto name = file == nullptr ? "Dockerfile" : read_text(*file, findings_);
        const auto& place = file != nullptr ? *file : context != nullptr ? *context : build;
        read_dockerfile(place, (fs::path(root) / name).string(), spec);
    }
    return spec;
}

void Images::read_dockerfile(const Node& place, const std::string& file,
                             protocol::ImageSpec& spec) {
    const auto path = (fs::path(directory_) / file).lexically_normal().string();
    try {
        spec.dockerfile = read_file(path);
    } catch (const Error& e) {
        return findings_.fault(place, e.what());
    }
    refuse_context(place, path, spec.dockerfile);
}

void Images::refuse_context(const Node& place, const std::string& file, const std::string& text) {
    for (const auto& use : uses_of_context(text)) {
        findings_.fault(
            place, fmt::format("the {} of line {}{} takes files from the build's context, which is "
                               "not supported yet: build the image elsewhere and name it by "
                               "`image`, or mount the files",
                               use.instruction, use.line, file.empty() ? "" : " of " + file));
    }
}

}  // namespace trailer::compose
