-- smtpwire wireshark install
-- Makes fields and expert infos of the packet comments that smtpwire annotate writes.
--
-- A comment is one line: smtpwire: error SEQ101 client: message (RFC 5321 §4.1.4)

local smtpwire = Proto("smtpwire", "SMTP audit")

local finding = ProtoField.string("smtpwire.finding", "Finding")
local rule = ProtoField.string("smtpwire.rule", "Rule")
local severity = ProtoField.string("smtpwire.severity", "Severity")
local side = ProtoField.string("smtpwire.side", "Side at fault")
local message = ProtoField.string("smtpwire.message", "Message")
local reference = ProtoField.string("smtpwire.reference", "Reference")
smtpwire.fields = { finding, rule, severity, side, message, reference }

local experts = {
    error = ProtoExpert.new("smtpwire.error", "SMTP error", expert.group.PROTOCOL, expert.severity.ERROR),
    warning = ProtoExpert.new("smtpwire.warning", "SMTP warning", expert.group.PROTOCOL, expert.severity.WARN),
    info = ProtoExpert.new("smtpwire.info", "SMTP remark", expert.group.PROTOCOL, expert.severity.NOTE),
}
smtpwire.experts = { experts.error, experts.warning, experts.info }

local comments = Field.new("frame.comment")

local function add(tree, buffer, text)
    local level, id, who, said = text:match("^smtpwire: (%l+) (%u%u%u%d%d%d) (%l+): (.*)$")
    if not experts[level] then
        return false
    end
    local what, where = said:match("^(.*) %((.-)%)$")
    local branch = tree:add(finding, buffer(0, 0), id .. " " .. (what or said))
    branch:add(rule, buffer(0, 0), id):set_generated()
    branch:add(severity, buffer(0, 0), level):set_generated()
    branch:add(side, buffer(0, 0), who):set_generated()
    branch:add(message, buffer(0, 0), what or said):set_generated()
    if where then
        branch:add(reference, buffer(0, 0), where):set_generated()
    end
    branch:add_proto_expert_info(experts[level], id .. " " .. (what or said))
    return true
end

function smtpwire.dissector(buffer, packet, root)
    local tree
    for _, comment in ipairs({ comments() }) do
        local text = comment.value
        if type(text) == "string" and text:sub(1, 10) == "smtpwire: " then
            tree = tree or root:add(smtpwire, buffer(0, 0))
            add(tree, buffer, text)
        end
    end
end

register_postdissector(smtpwire)
