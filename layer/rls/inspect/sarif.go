package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// The part of SARIF 2.1.0 (OASIS, 27 March 2020) that a report needs; the sections are the standard's.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"` // § 3.13.2
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"` // § 3.20
		Results     []sarifResult     `json:"results"`
		Columns     string            `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct { // § 3.49
		ID      string       `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		Full    sarifText    `json:"fullDescription"`
		Help    sarifText    `json:"help"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level Severity `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   Severity     `json:"level"`
		Message sarifText    `json:"message"`
		Rule    sarifRuleRef `json:"associatedRule"`
	}
	sarifRuleRef struct {
		ID    string `json:"id"`
		Index int    `json:"index"`
	}
	sarifResult struct { // § 3.27
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        Severity          `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]string `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Logical []sarifLogical `json:"logicalLocations"` // § 3.33: a database has no files
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)

// WriteSARIF writes the report for tools that collect such reports. The severities are SARIF's levels by the same names.
func (r *Report) WriteSARIF(w io.Writer) error {
	rules := Rules()
	index := func(id string) int { return slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id }) }
	run := sarifRun{Columns: "unicodeCodePoints", Invocations: []sarifInvocation{r.invocation(index)}, Results: []sarifResult{}}
	run.Tool.Driver.Name = "redoubt db check"
	for _, rule := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.ID, Short: sarifText{rule.Title + "."}, Full: sarifText{rule.Why}, Help: sarifText{rule.Why + " " + rule.Mend}, Default: sarifDefault{rule.Severity},
		})
	}
	for _, f := range r.Findings {
		run.Results = append(run.Results, f.sarif(index(f.Rule)))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func (r *Report) invocation(index func(string) int) sarifInvocation {
	inv := sarifInvocation{Successful: len(r.Undecided) == 0}
	for _, u := range r.Undecided {
		inv.Notifications = append(inv.Notifications, sarifNotification{Error, sarifText{"It could not be decided: " + u.Reason + "."}, sarifRuleRef{u.Rule, index(u.Rule)}})
	}
	for _, id := range r.Cut {
		inv.Notifications = append(inv.Notifications, sarifNotification{Warning, sarifText{"It found more than is told."}, sarifRuleRef{id, index(id)}})
	}
	return inv
}

func (f Finding) sarif(index int) sarifResult {
	rule, _ := Lookup(f.Rule)
	// What makes a finding the same as yesterday's: the rule, the object and what is wrong, not the order in which they came.
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, f.Object, f.Problem}, "\x00")))
	res := sarifResult{
		RuleID: f.Rule, RuleIndex: index, Level: f.Severity,
		Message:      sarifText{f.Object + ": " + rule.Title + ". " + f.Problem + " " + f.Mend},
		Locations:    []sarifLocation{{[]sarifLogical{{f.Object}}}},
		Fingerprints: map[string]string{"finding/v1": hex.EncodeToString(sum[:16])},
	}
	if f.SQL != "" {
		res.Properties = map[string]string{"sql": f.SQL}
	}
	return res
}
