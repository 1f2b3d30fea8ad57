import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import software.amazon.event.ruler.JsonRuleCompiler;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.Patterns;

/**
 * Asks AWS's engine whether events match patterns.
 *
 * Reads a question per line, {"pattern": text, "event": text, "apart": true or false}, and answers all of them at an
 * empty line, a line each: "true", "false", or "refused" and why.
 */
public final class RulerAnswers {
    private static final ObjectMapper JSON = new ObjectMapper();

    private RulerAnswers() {}

    public static void main(String[] args) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        StringBuilder answers = new StringBuilder();
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            if (line.isEmpty()) {
                out.print(answers);
                out.flush();
                answers.setLength(0);
            } else {
                answers.append(answer(JSON.readTree(line)).replaceAll("\\s+", " ")).append('\n');
            }
        }
    }

    private static String answer(JsonNode question) throws Exception {
        String pattern = question.get("pattern").asText();
        List<Machine> machines;
        try {
            machines = question.get("apart").asBoolean() ? apart(pattern) : List.of(whole(pattern));
        } catch (Exception refusal) { // some of its refusals are not meant as such
            return "refused: " + refusal.getMessage();
        }
        boolean matches = false;
        for (Machine machine : machines) {
            matches |= !machine.rulesForJSONEvent(question.get("event").asText()).isEmpty();
        }
        return String.valueOf(matches);
    }

    /** As an event bus does, with all of the pattern in one machine. */
    private static Machine whole(String pattern) throws Exception {
        Machine machine = new Machine();
        machine.addRule("rule", pattern);
        return machine;
    }

    /** The same asked in another way: a machine for each choice of alternatives, of which one must match. */
    private static List<Machine> apart(String pattern) throws Exception {
        List<Machine> machines = new ArrayList<>();
        for (Map<String, List<Patterns>> way : JsonRuleCompiler.compile(pattern)) {
            for (Map<String, List<Patterns>> choice : choices(way)) {
                // The matching of the versions before 2: that of version 2 looks values up in an index.
                Machine machine = Machine.builder().withStructuredMatching(false).build();
                machine.addPatternRule("rule", choice);
                machines.add(machine);
            }
        }
        return machines;
    }

    private static List<Map<String, List<Patterns>>> choices(Map<String, List<Patterns>> way) {
        List<Map<String, List<Patterns>>> chosen = List.of(Map.of());
        for (Map.Entry<String, List<Patterns>> field : way.entrySet()) {
            List<Map<String, List<Patterns>>> longer = new ArrayList<>();
            for (Map<String, List<Patterns>> so : chosen) {
                for (Patterns alternative : field.getValue()) {
                    Map<String, List<Patterns>> more = new HashMap<>(so);
                    more.put(field.getKey(), List.of(alternative));
                    longer.add(more);
                }
            }
            chosen = longer;
        }
        return chosen;
    }
}
