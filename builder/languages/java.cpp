// Java, Kotlin, Scala: pom.xml, build.gradle, build.sbt, a jar, or sources with a main().
//   build    the wrapper (mvnw, gradlew) if it is there, else the tool of the image; tests are not
//            run. CC_BUILD_COMMAND replaces it. Sources without a build tool are compiled by javac,
//            with the jars of lib/.
//   program  CC_JAR_PATH, Quarkus' runner, what Gradle's `application` or sbt's `stage` installs,
//   else
//            the only jar with a main class. /app/.karreg/start starts it with JAVA_OPTS.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_JAVA_VERSION", "versions.java", "the version of Java: `21`, `17`"},
    Variable{"CC_JAR_PATH", "java.jar", "the jar to start: `target/shop.jar`"},
    Variable{"CC_JAR_ARGS", "java.arguments", "arguments of the program"},
    Variable{"CC_EXTRA_JAVA_ARGS", "java.options", "options of the virtual machine: `-Xmx200m`"},
    Variable{"MAVEN_BUILD_GOAL", "java.maven-goal", "Maven's goals, in the place of `package`"},
    Variable{"CC_MAVEN_PROFILES", "java.maven-profiles",
             "profiles of Maven, with commas between them"},
    Variable{"GRADLE_BUILD_GOAL", "java.gradle-goal",
             "Gradle's tasks, in the place of the usual ones"},
    Variable{"CC_SBT_TARGET_DIR", "java.sbt-folder",
             "the folder whose target/universal/stage is meant"},
    Variable{"CC_SBT_TARGET_BIN", "java.sbt-program", "the program of target/universal/stage/bin"},
};

constexpr const char* program = "/app/.karreg/start";

/// What starts the app: a script, for JAVA_OPTS is read when it starts.
std::string launcher(const std::string& what) {
  return "mkdir -p /app/.karreg\n"
         "cat > /app/.karreg/start <<KARREG_END\n"
         "#!/bin/sh\n"
         "exec java \\${JAVA_OPTS:-} \\${CC_EXTRA_JAVA_ARGS:-} " +
         what +
         " \\${CC_JAR_ARGS:-}\n"
         "KARREG_END\n"
         "chmod +x /app/.karreg/start";
}

/// Shell: links or writes the program that the build made.
constexpr std::string_view find_program =
    R"sh(runner=$(find /app -path '*/quarkus-app/quarkus-run.jar' -not -path '*/node_modules/*' | head -n 1)
installed=$(find /app -path '*/build/install/*/bin/*' -type f -not -name '*.bat' | sort)
jars=
if [ -z "$runner" ] && [ -z "$installed" ]; then
  for jar in $(find /app -maxdepth 5 -name '*.jar' \( -path '*/target/*' -o -path '*/build/libs/*' \) \
      -not -name '*-sources.jar' -not -name '*-javadoc.jar' -not -name '*-plain.jar' -not -name 'original-*.jar' | sort); do
    if unzip -p "$jar" META-INF/MANIFEST.MF 2>/dev/null | grep -q '^Main-Class:'; then jars="$jars $jar"; fi
  done
fi
set -- $runner $jars
if [ -n "$installed" ] && [ "$(echo "$installed" | wc -l)" = 1 ]; then
  mkdir -p /app/.karreg
  ln -sf "$installed" /app/.karreg/start
  echo "The app is the program $installed"
  exit 0
fi
if [ $# = 0 ]; then
  echo "The build made no jar with a main class. There is: $(find /app -maxdepth 5 \( -name '*.jar' -o -name '*.war' \) \( -path '*/target/*' -o -path '*/build/libs/*' \) | tr '\n' ' ')" >&2
  echo "A war needs a server of its own, which is not part of the image. Set CC_JAR_PATH, or CC_RUN_COMMAND." >&2
  exit 1
fi
if [ $# != 1 ]; then
  echo "The build made several jars with a main class: $*. Choose one with CC_JAR_PATH." >&2
  exit 1
fi
jar=$1
echo "The app is $jar"
)sh";

bool any_jar(const SourceTree& tree, std::string& name) {
  for (const Entry& entry : tree.list(""))
    if (entry.kind == EntryKind::file && entry.name.ends_with(".jar")) {
      name = entry.name;
      return true;
    }
  return false;
}

/// A class of the sources that has a main(): "shop.Main".
struct MainClass {
  std::string folder;  ///< "src", or "" for the root
  std::string name;
};

std::optional<MainClass> main_class(const SourceTree& tree) {
  for (const char* folder : {"", "src", "src/main/java"})
    for (const Entry& entry : tree.list(folder)) {
      if (entry.kind != EntryKind::file || !entry.name.ends_with(".java")) continue;
      const auto text = tree.read(join_path(folder, entry.name), max_inspected_bytes);
      if (text && text->find("static void main(") != std::string::npos)
        return MainClass{folder, entry.name.substr(0, entry.name.size() - 5)};
    }
  return std::nullopt;
}

struct Found {
  std::string tool;  ///< maven, gradle, sbt, jar, javac
  std::string file;
  Evidence evidence = Evidence::manifest;
};

std::optional<Found> tool_of(const Inspection& about) {
  const SourceTree& tree = about.tree;
  for (const char* file : {"pom.xml", "pom.yaml", "pom.groovy", "mvnw"})
    if (tree.has_file(file)) return Found{"maven", file};
  for (const char* file :
       {"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradlew"})
    if (tree.has_file(file)) return Found{"gradle", file};
  if (tree.has_file("build.sbt")) return Found{"sbt", "build.sbt"};
  if (const auto jar = about.settings.find("CC_JAR_PATH"); jar && tree.has_file(jar->value))
    return Found{"jar", jar->value};
  if (std::string jar; any_jar(tree, jar)) return Found{"jar", jar, Evidence::sources};
  if (const auto main = main_class(tree))
    return Found{"javac", join_path(main->folder, main->name + ".java"), Evidence::sources};
  return std::nullopt;
}

std::optional<Match> detect(const Inspection& about) {
  const auto found = tool_of(about);
  if (!found) return std::nullopt;
  return Match{found->file, found->evidence};
}

/// The text between @p begin and @p end in @p text; empty: it is not there.
std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const auto at = text.find(begin);
  if (at == std::string::npos) return "";
  const auto from = at + begin.size();
  const auto to = text.find(end, from);
  return to == std::string::npos ? "" : trimmed(text.substr(from, to - from));
}

/// "1.8" is Java 8.
std::string java_line(std::string version) {
  if (version.starts_with("1.")) version.erase(0, 2);
  return version;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::optional<VersionWish> version_wish(const SourceTree& tree, const std::string& build_file) {
  if (const auto text = tree.read("system.properties", max_inspected_bytes)) {
    const std::string version = between(*text + "\n", "java.runtime.version=", "\n");
    if (!version.empty()) return VersionWish{java_line(version), "system.properties"};
  }
  if (const std::string line = first_line(tree, ".java-version"); is_number(line))
    return VersionWish{java_line(line), ".java-version"};
  const auto text = tree.read(build_file, max_inspected_bytes);
  if (!text) return std::nullopt;
  // What is compiled for an older one runs on a newer one.
  for (const auto& [begin, end] :
       {std::pair<std::string_view, std::string_view>{"<java.version>", "<"},
        {"<maven.compiler.release>", "<"},
        {"<maven.compiler.target>", "<"},
        {"JavaLanguageVersion.of(", ")"}}) {
    const std::string version = java_line(between(*text, begin, end));
    if (is_number(version)) return VersionWish{">=" + version, build_file};
  }
  return std::nullopt;
}

void add_maven(LanguagePlan& plan, const Inspection& about) {
  const bool wrapper = about.tree.has_file("mvnw");
  const auto goal = about.settings.find("MAVEN_BUILD_GOAL");
  std::string command = std::string(wrapper ? "sh ./mvnw" : "mvn") + " --batch-mode -DskipTests";
  if (const auto profiles = about.settings.find("CC_MAVEN_PROFILES"))
    command += " -P " + shell_quote(profiles->value);
  command += " " + (goal ? goal->value : std::string("package"));
  plan.step("build",
            "export MAVEN_OPTS=\"-Dmaven.repo.local=/cache/m2 ${MAVEN_OPTS:-}\" "
            "MAVEN_USER_HOME=/cache/m2-home\n" +
                command);
  plan.reason("Build: " + command + (goal ? " (" + goal->origin + ")." : "."));
}

void add_gradle(LanguagePlan& plan, const Inspection& about, const std::string& file) {
  const bool wrapper = about.tree.has_file("gradlew");
  std::string tasks = "assemble", why;
  const auto text = about.tree.read(file, max_inspected_bytes);
  const auto says = [&](std::string_view word) {
    return text && text->find(word) != std::string::npos;
  };
  if (const auto goal = about.settings.find("GRADLE_BUILD_GOAL")) {
    tasks = goal->value;
    why = " (" + goal->origin + ")";
  } else if (says("org.springframework.boot")) {
    tasks = "bootJar";
    why = " (Spring Boot)";
  } else if (says("io.quarkus")) {
    tasks = "quarkusBuild";
    why = " (Quarkus)";
  } else if (says("'application'") || says("\"application\"") || says("\n    application\n") ||
             says("mainClass")) {
    tasks = "installDist";
    why = " (the plugin application)";
  }
  const std::string command =
      std::string(wrapper ? "sh ./gradlew" : "gradle") + " --no-daemon --console=plain " + tasks;
  plan.step("build", "export GRADLE_USER_HOME=/cache/gradle\n" + command);
  plan.reason("Build: " + command + why + ".");
}

/// The version of sbt that project/build.properties names.
void add_sbt(LanguagePlan& plan, const Inspection& about) {
  std::string version = "1.10.7";
  if (const auto text = about.tree.read("project/build.properties", max_inspected_bytes))
    if (const std::string said = between(*text + "\n", "sbt.version=", "\n"); !said.empty())
      version = said;
  const bool own = about.tree.has_file("sbt") || about.tree.has_file("sbtx");
  const std::string sbt =
      own ? (about.tree.has_file("sbt") ? "sh ./sbt" : "sh ./sbtx")
          : "java -Xss4m -Dsbt.global.base=/cache/sbt -Dsbt.ivy.home=/cache/ivy2 "
            "-Dsbt.coursier.home=/cache/coursier -jar /tmp/sbt/sbt-launch.jar";
  plan.step("build", (own ? std::string()
                          : "mvn --batch-mode --quiet -Dmaven.repo.local=/cache/m2 dependency:copy "
                            "-DoutputDirectory=/tmp/sbt -Dmdep.stripVersion=true "
                            "-Dartifact=org.scala-sbt:sbt-launch:" +
                                version + "\n") +
                         sbt + " stage");
  plan.reason("Build: sbt stage (sbt " + version + ").");
}

void sbt_program(LanguagePlan& plan, const Inspection& about) {
  const std::string folder =
      "/app/" + join_path(about.settings.variable("CC_SBT_TARGET_DIR").value_or(""),
                          "target/universal/stage/bin");
  const std::string wanted = about.settings.variable("CC_SBT_TARGET_BIN").value_or("");
  plan.step(
      "executable",
      "set -- $(find " + shell_quote(folder) + " -type f -name " +
          shell_quote(wanted.empty() ? "*" : wanted) +
          " -not -name '*.bat' | sort)\n"
          "if [ $# = 0 ]; then\n"
          "  echo \"sbt stage made no program in " +
          folder +
          ". The plugin sbt-native-packager brings the task: add it to project/plugins.sbt.\" >&2\n"
          "  exit 1\n"
          "fi\n"
          "mkdir -p /app/.karreg\n"
          "ln -sf \"$1\" /app/.karreg/start\n"
          "echo \"The app is the program $1\"");
}

void add_javac(LanguagePlan& plan, const Inspection& about) {
  const MainClass main = *main_class(about.tree);
  const std::string folder = "/" + join_path("app", main.folder);
  const std::string path =
      about.tree.has_folder("lib") ? "/app/.karreg/classes:/app/lib/*" : "/app/.karreg/classes";
  plan.step("build",
            "mkdir -p /app/.karreg/classes\n"
            "find " +
                folder +
                " -name '*.java' -not -path '*/.karreg/*' > /tmp/sources\n"
                "javac -d /app/.karreg/classes -cp " +
                shell_quote(path) + " @/tmp/sources");
  plan.reason("Build: javac, all sources of " + folder + ".");
  plan.step("executable", launcher("-cp '" + path + "' " + main.name));
}

Result<LanguagePlan> plan(const Inspection& about) {
  const Found found = *tool_of(about);
  LanguagePlan result;
  result.tool = found.tool;
  choose_version(result, about, "java", "Java", "CC_JAVA_VERSION",
                 version_wish(about.tree, found.file));
  // Where the frameworks listen; each knows its own and passes over the others'.
  result.env = {{"SERVER_PORT", "8080"},
                {"QUARKUS_HTTP_HOST", "0.0.0.0"},
                {"QUARKUS_HTTP_PORT", "8080"},
                {"MICRONAUT_SERVER_PORT", "8080"}};
  const auto jar = about.settings.find("CC_JAR_PATH");
  const bool own_build = add_build_command(result, about);
  if (own_build && !jar) {
    result.start =
        Error(ErrorKind::invalid,
              "CC_BUILD_COMMAND replaces the build by " + result.tool +
                  ", so that the program is not known: set CC_JAR_PATH or CC_RUN_COMMAND too, "
                  "or add a Procfile with a `web:` line.");
    return result;
  }
  if (own_build) {
    // the owner's build makes the jar
  } else if (found.tool == "maven") {
    add_maven(result, about);
  } else if (found.tool == "gradle") {
    add_gradle(result, about, found.file);
  } else if (found.tool == "sbt") {
    add_sbt(result, about);
  } else if (found.tool == "javac") {
    add_javac(result, about);
  }
  result.start = Start{{program}, "what the build makes, by java"};
  if (about.start || found.tool == "javac") {
    if (found.tool == "javac")
      result.start = Start{{program}, "java " + main_class(about.tree)->name};
  } else if (jar || found.tool == "jar") {
    const std::string path = jar ? jar->value : found.file;
    result.step("executable", launcher("-jar " + shell_quote("/app/" + path)));
    result.start = Start{
        {program},
        "java -jar " + path + " (" + (jar ? jar->origin : std::string("the file is there")) + ")"};
  } else if (found.tool == "sbt") {
    sbt_program(result, about);
  } else {
    result.step("executable", std::string(find_program) + launcher("-jar $jar"));
    result.start = Start{
        {program}, "the jar that " + found.tool + " makes (CC_JAR_PATH chooses among several)"};
  }
  return result;
}

}  // namespace

Language java() {
  return {"java",    "Java", "pom.xml, build.gradle, build.sbt, a jar, or sources with a main()",
          variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
