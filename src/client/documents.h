// The documents of `apply -f` and `delete -f`: read from files, checked for what the client can
// know, and kept with their places, so that the server's faults can be shown as FILE:LINE:COLUMN.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/commands.h"
#include "client/subject.h"
#include "compose/document.h"
#include "wire/yaml.h"

namespace trailer::client {

struct SourceDocument {
    std::string file;  // as it was given; "<stdin>" for "-"
    // Shared by the elements of one JSON array. Null for what a Compose file became.
    std::shared_ptr<const wire::YamlDocument> source;
    std::string base;        // the pointer of this document in `source`: "" or "/3"
    compose::Places places;  // of a Compose file's, in place of `source`
    boost::json::object value;
    protocol::Kind kind = protocol::Kind::workspace;
    std::string name;

    // "FILE:LINE:COLUMN" of a member.
    std::string place_of(std::string_view pointer) const;
};

// Documents that are at fault; each line says where and what.
class BadDocuments : public Error {
  public:
    explicit BadDocuments(std::vector<std::string> lines);
    const std::vector<std::string>& lines() const { return lines_; }

  private:
    std::vector<std::string> lines_;
};

struct Loaded {
    std::vector<SourceDocument> documents;
    std::vector<std::string> warnings;
};

// Reads every document of every file ("-" is `input`) in their order; all that are Compose files
// are one project, merged in their order. Throws BadDocuments for what is no YAML or JSON, for a
// kind or name that is missing or wrong, for two documents of one kind and name, and for what in a
// Compose file is wrong or not supported; Error for a file that can't be read, and where there is
// no document at all.
Loaded load_documents(const FileFlags& flags, std::istream& input);
// One file's text, which is no Compose file.
std::vector<SourceDocument> parse_documents(const std::string& file, std::string_view text,
                                            std::vector<std::string>& faults);

// The body of POST /api/apply.
boost::json::array request_body(const std::vector<SourceDocument>& documents);

// The server's faults, whose pointers begin with a document's index (/0/spec/ports/0/host), as
// lines "FILE:LINE:COLUMN: /spec/ports/0/host: detail".
std::vector<std::string> placed(const std::vector<FieldError>& errors,
                                const std::vector<SourceDocument>& documents);

}  // namespace trailer::client
